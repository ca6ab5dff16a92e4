"""The members of an event that Meta's Conversions API takes, and the form each leaves in.

What is in clear is of a closed shape: text that anybody may have typed has no field here.
"""

from __future__ import annotations

from mayfly.connectors.event_columns import MOMENT_SHAPE
from mayfly.connectors.event_fields import (
    AGENT,
    AMOUNT,
    NETWORK_ADDRESS,
    PAGE_ADDRESS,
    matched,
    plain,
)
from mayfly.ports.destination import FieldSpec
from mayfly.privacy.gate import Form

ACTION_SOURCES = (
    *("website", "email", "phone_call", "chat", "physical_store"),
    *("system_generated", "other"),
)
"""Where events happen. Those of apps and of business messaging need members of their own."""
WEBSITE, STORE, PURCHASE = "website", "physical_store", "Purchase"
# Read by the SQL of every engine, too.
_CLICK = "fb[.][0-9][.][0-9]{10,13}[.][A-Za-z0-9_-]{1,250}"


def _digest(name: str, kind: str, rule: str, *, identifier: bool = False) -> FieldSpec:
    return FieldSpec(
        name=name, kind=kind, form=Form.DIGEST, rule=("meta", rule), identifier=identifier
    )


EVENT = (
    plain("event_name", "[A-Za-z][A-Za-z0-9_ -]{0,49}", sample="MayflyTest"),
    plain("event_time", MOMENT_SHAPE, sample="{now}"),
    plain("event_id", "[A-Za-z0-9_.:/-]{1,128}", sample="mayfly-test-{now}-{n}"),
    plain("action_source", "|".join(ACTION_SOURCES), sample="other"),
    plain("event_source_url", PAGE_ADDRESS, kind="url_pii"),
    plain("opt_out", "true|false", sample="true"),
    plain("limited_data_use", "true|false|granted|denied", sample="true"),
)
USER = (
    _digest("em", "email", "email", identifier=True),
    _digest("ph", "phone", "phone", identifier=True),
    _digest("external_id", "opaque_id", "external_id", identifier=True),
    FieldSpec(
        name="madid", kind="device_id", form=Form.CLEAR, rule=("meta", "madid"), identifier=True
    ),
    matched("fbc", "opaque_id", _CLICK),
    matched("fbp", "opaque_id", "fb[.][0-9][.][0-9]{10,13}[.][0-9]{1,20}"),
    matched("client_ip_address", "ip_address", NETWORK_ADDRESS, keeps_case=False),
    matched("client_user_agent", "user_agent", AGENT),
    _digest("fn", "first_name", "first_name"),
    _digest("ln", "last_name", "last_name"),
    _digest("ge", "gender", "gender"),
    _digest("db", "date_of_birth", "dob"),
    _digest("ct", "city", "city"),
    _digest("st", "region", "state"),
    _digest("zp", "postal_code", "zip"),
    _digest("country", "country", "country"),
)
CUSTOM = (
    plain("value", AMOUNT, sample="1"),
    plain("currency", "[A-Za-z]{3}", sample="EUR"),
    plain("order_id", "[A-Za-z0-9_.:/-]{1,128}", sample="mayfly-test-{now}-{n}"),
    plain("content_ids", "[A-Za-z0-9_.:-]{1,64}(,[A-Za-z0-9_.:-]{1,64}){0,99}"),
    plain("content_type", "product|product_group", sample="product"),
    plain("num_items", "[0-9]{1,6}", sample="1"),
    plain("predicted_ltv", AMOUNT, sample="1"),
    plain("delivery_category", "in_store|curbside|home_delivery", sample="in_store"),
)
FIELDS = (*EVENT, *USER, *CUSTOM)
LISTED = frozenset(f.name for f in USER if f.form is Form.DIGEST)
"""Members of `user_data` that Meta takes several values of."""
TOO_WEAK = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
"""An event whose `user_data` has no member beyond one of these is refused, since version 13.0."""

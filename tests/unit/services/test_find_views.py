"""Views below a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mayfly.ports.source import Source, ViewText
from mayfly.services.find_views import TOO_DEEP, UNREADABLE, find_views


class Views:
    """A source that has views and nothing else; counts how often it is asked."""

    name = "shop"
    dialect = "duckdb"

    def __init__(self, **views: str | None) -> None:
        self.known = views
        self.asked = 0

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`."""
        self.asked += 1
        return {
            (schema, name): ViewText(schema="main", sql=self.known[name])
            for schema, name in names
            if name in self.known and schema in (None, "main")
        }


def pinned(views: Views, name: str) -> dict[str, str]:
    """What is pinned of one view and those below it."""
    source: Source = views  # type: ignore[assignment]
    return find_views(source, [(None, name)]).pinned


def test_the_layout_of_a_view_is_not_pinned() -> None:
    """Another layout and comments are the same view, another condition is none."""
    one = pinned(Views(v="CREATE VIEW v AS SELECT a FROM t WHERE a > 1"), "v")
    same = pinned(Views(v="create view v as -- who\n select a\n from t where a>1;"), "v")
    other = pinned(Views(v="CREATE VIEW v AS SELECT a FROM t WHERE a > 2"), "v")
    assert list(one) == ["main.v"]
    assert one == same != other


def test_views_below_views_are_pinned() -> None:
    """Each once, whatever reads it, also where the view stands."""
    views = Views(v="SELECT * FROM w JOIN x USING (id)", w="SELECT * FROM x", x="SELECT * FROM t")
    assert set(pinned(views, "v")) == {"main.v", "main.w", "main.x"}
    assert views.asked <= 4


def test_what_cannot_be_read_is_pinned_as_such() -> None:
    """A text that nobody may read, and one in a spelling that the parser does not know."""
    assert pinned(Views(v=None), "v") == {"main.v": UNREADABLE}
    odd = pinned(Views(v="CREATE VIEW v AS ☃ ☃ ☃"), "v")
    assert len(odd["main.v"]) == 64
    assert odd != pinned(Views(v="CREATE VIEW v AS ☃ ☃"), "v")


def test_there_is_a_bound() -> None:
    """A tower of views is pinned down to a floor, and the floor as what it is."""
    tower = {f"v{n}": f"SELECT * FROM v{n + 1}" for n in range(30)}
    found = pinned(Views(**tower), "v0")
    assert found["main.v8"] == TOO_DEEP
    assert "main.v9" not in found
    wide = {f"w{n}": "SELECT 1 AS a" for n in range(100)}
    joined = " UNION ALL ".join(f"SELECT * FROM w{n}" for n in range(100))
    found = pinned(Views(v=joined, **wide), "v")
    assert TOO_DEEP in found.values()


def test_a_circle_ends() -> None:
    """No engine makes one; nobody waits for ever for one either."""
    views = Views(v="SELECT * FROM w", w="SELECT * FROM v")
    assert set(pinned(views, "v")) == {"main.v", "main.w"}

"""The calls of one Spark Connect session, over gRPC."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.sources.spark_errors import (
    Failure,
    failure,
    is_away,
    is_gone,
    lost,
    ours,
    with_causes,
)
from mayfly.connectors.sources.spark_protocol import (
    INTERRUPT_OPERATION,
    SERVICE,
    message,
    messages,
)
from mayfly.domain.version import VERSION

CLIENT = f"mayfly/{VERSION}"
TAG = "mayfly"
CALL_SECONDS = 600.0
"""For a call that runs nothing; finding the columns of a table may list many files."""
_LEAVE_SECONDS = 5.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.05, 2.0


def driver() -> Any:
    """gRPC; see `optional_driver`. Its native part would print to standard error."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    return optional_driver("grpc", kind="spark", logs=["grpc"])


class Patience:
    """How long a server that does not answer is asked again, of one call.

    Args:
        seconds: in all, since its last answer.
        sleep: waits.
        monotonic: a clock in seconds.
    """

    def __init__(
        self,
        seconds: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._sleep, self._monotonic = seconds, sleep, monotonic
        self.answered()

    def answered(self) -> None:
        """Begin anew."""
        self._until: float | None = None
        self._next = _FIRST_WAIT_SECONDS

    def wait(self) -> None:
        """Until it may be asked again.

        Raises:
            TransientError: `connection_lost`, it was asked long enough.
        """
        now = self._monotonic()
        self._until = now + self._seconds if self._until is None else self._until
        if now >= self._until:
            raise lost() from None
        self._sleep(min(self._next, max(0.0, self._until - now)))
        self._next = min(self._next * 2, _LONGEST_WAIT_SECONDS)


class SparkClient:
    """One session of a server. Not safe for several threads.

    A statement goes on at the server when a connection breaks; this side asks for the rest of its
    answers. So it does, too, where a server or a proxy ends a long answer on purpose.

    Args:
        channel: of gRPC; closed with the client.
        user: name that the server shows.
        metadata: that goes with each call.
        patience_seconds: how long a server that does not answer is asked again.
    """

    def __init__(
        self,
        channel: Any,
        *,
        user: str,
        metadata: Sequence[tuple[str, str]] = (),
        patience_seconds: float,
    ) -> None:
        self._grpc = driver()
        self._channel = channel
        self._metadata = tuple(metadata)
        self._patience_seconds = patience_seconds
        self._who = {
            "session_id": str(uuid.uuid4()),
            "user_context": message("UserContext", user_id=user, user_name=user),
            "client_type": CLIENT,
        }

    @property
    def session_id(self) -> str:
        """By which the server knows the session."""
        return str(self._who["session_id"])

    def version(self, *, patient: bool = True) -> str:
        """Of the server."""
        asked = message("AnalyzePlanRequest", **self._who, spark_version=message("Nothing"))
        answer = self._call("AnalyzePlan", asked, "AnalyzePlanResponse", patient=patient)
        return str(answer.spark_version.version)

    def configure(self, settings: Mapping[str, str], *, without: str) -> None:
        """Set settings of the session; those that a server does not know do nothing.

        Args:
            settings: value by name.
            without: all that begin so are as Spark has them by default.
        """
        found = self._config(get_all=message("ConfigAll", prefix=without)).pairs
        if found:
            # They come without their beginning.
            keys = [without + pair.key for pair in found]
            self._config(unset=message("ConfigKeys", keys=keys))
        pairs = [message("KeyValue", key=k, value=v) for k, v in settings.items()]
        self._config(set=message("ConfigSet", pairs=pairs))

    def _config(self, **operation: Any) -> Any:
        given = message("ConfigOperation", **operation)
        asked = message("ConfigRequest", **self._who, operation=given)
        return self._call("Config", asked, "ConfigResponse")

    def schema(self, relation: Any) -> Any:
        """The type of a relation's rows, a DataType: nothing is run."""
        plan = message("Plan", root=relation)
        asked = message(
            "AnalyzePlanRequest", **self._who, schema=message("AnalyzeSchema", plan=plan)
        )
        return self._call("AnalyzePlan", asked, "AnalyzePlanResponse").schema.schema

    def run(self, plan: Any) -> Iterator[Any]:
        """The answers to a plan as they come. One that is left early is ended at the server."""
        operation = str(uuid.uuid4())
        running = _Running(self, plan, operation)
        try:
            yield from running.answers()
        finally:
            running.leave()

    def close(self) -> None:
        """End the session with what is temporary in it. Never raises."""
        with suppress(Exception):
            asked = message("ReleaseSessionRequest", **self._who)
            self._once("ReleaseSession", asked, "ReleaseSessionResponse", _LEAVE_SECONDS)
        with suppress(Exception):
            self._channel.close()

    # -- calls ----------------------------------------------------------------------------------

    def _call(self, method: str, asked: Any, answer: str, *, patient: bool = True) -> Any:
        """A call that may be repeated."""
        patience = self.patience()
        while True:
            try:
                return self._once(method, asked, answer, CALL_SECONDS)
            except self._grpc.RpcError as error:
                known = failure(error)
                if not patient:
                    raise
                if not is_away(known):
                    raise self.translated(known) from None
            patience.wait()

    def _once(self, method: str, asked: Any, answer: str, seconds: float) -> Any:
        return self._unary(method, answer)(asked, timeout=seconds, metadata=self._metadata)

    def _unary(self, method: str, answer: str) -> Any:
        return self._channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=messages()[answer].FromString,
        )

    def patience(self) -> Patience:
        """For one call."""
        return Patience(self._patience_seconds)

    def translated(self, known: Failure) -> Exception:
        """Our error; the server is asked for the cause where the error itself says little."""
        if known.error_id and not is_gone(known) and _says_little(known):
            with suppress(self._grpc.RpcError):
                asked = message("FetchErrorDetailsRequest", **self._who, error_id=known.error_id)
                answer = self._once(
                    "FetchErrorDetails", asked, "FetchErrorDetailsResponse", _LEAVE_SECONDS
                )
                known = with_causes(known, answer)
        return ours(known)

    # -- of a running plan ----------------------------------------------------------------------

    def begin(self, plan: Any, operation: str) -> Any:
        """Have a plan run, so that its answers can be asked for again."""
        options = message(
            "RequestOption", reattach_options=message("ReattachOptions", reattachable=True)
        )
        asked = message(
            "ExecutePlanRequest",
            **self._who,
            plan=plan,
            operation_id=operation,
            request_options=[options],
            tags=[TAG],
        )
        return self._stream("ExecutePlan", asked)

    def resume(self, operation: str, last: str) -> Any:
        """Ask for the answers after one."""
        asked = message("ReattachExecuteRequest", **self._who, operation_id=operation)
        if last:
            asked.last_response_id = last
        return self._stream("ReattachExecute", asked)

    def _stream(self, method: str, asked: Any) -> Any:
        call = self._channel.unary_stream(
            f"/{SERVICE}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=messages()["ExecutePlanResponse"].FromString,
        )
        return call(asked, metadata=self._metadata)

    def interrupt(self, operation: str) -> None:
        """End what runs. Never raises."""
        asked = message(
            "InterruptRequest",
            **self._who,
            interrupt_type=INTERRUPT_OPERATION,
            operation_id=operation,
        )
        with suppress(Exception):
            self._once("Interrupt", asked, "InterruptResponse", _LEAVE_SECONDS)

    def release(self, operation: str) -> None:
        """Nothing will be asked of it again. Nobody waits for the answer."""
        asked = message(
            "ReleaseExecuteRequest",
            **self._who,
            operation_id=operation,
            release_all=message("Nothing"),
        )
        call = self._unary("ReleaseExecute", "ReleaseExecuteResponse")
        with suppress(Exception):
            call.future(asked, timeout=_LEAVE_SECONDS, metadata=self._metadata)


class _Running:
    """One plan at the server."""

    def __init__(self, client: SparkClient, plan: Any, operation: str) -> None:
        self._client, self._plan, self._operation = client, plan, operation
        self._errors = driver().RpcError
        self._call: Any = None
        self._last = ""
        self._arrived = True
        self._complete = False

    def answers(self) -> Iterator[Any]:
        """All of them, in order."""
        patience = self._client.patience()
        self._call = self._client.begin(self._plan, self._operation)
        while not self._complete:
            came = False
            try:
                for answer in self._call:
                    patience.answered()
                    came, self._last = True, answer.response_id
                    kind = answer.WhichOneof("kind")
                    self._complete = kind == "result_complete"
                    if kind is not None and not self._complete:
                        yield answer
            except self._errors as error:
                came = False
                if not self._complete:
                    self._must_go_on(failure(error))
            if not self._complete:
                if not came:
                    patience.wait()
                self._call = self._again()

    def _must_go_on(self, known: Failure) -> None:
        """Raise an error after which nothing more comes."""
        if known.says("INVALID_HANDLE.OPERATION_NOT_FOUND") and not self._last:
            self._arrived = False
        elif not is_away(known):
            self._complete = not is_gone(known)
            raise self._client.translated(known) from None

    def _again(self) -> Any:
        """Ask for what has not come yet; a plan that never arrived is sent once more."""
        if self._arrived:
            return self._client.resume(self._operation, self._last)
        self._arrived = True
        return self._client.begin(self._plan, self._operation)

    def leave(self) -> None:
        """Nobody waits for it any more."""
        if not self._complete:
            with suppress(Exception):
                self._call.cancel()
            self._client.interrupt(self._operation)
        self._client.release(self._operation)


def _says_little(known: Failure) -> bool:
    return not known.error_class or known.sql_state in ("", "XXKDA", "58030", "XX000", "KD001")

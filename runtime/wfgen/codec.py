"""Payloads: JSON through pydantic, with a size limit.

Every value that crosses into the history is encoded and decoded at once, and the workflow sees the decoded one: so a
live run sees what a replay will see, and what does not survive is an error on the first run, not on the first crash.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from wfgen.errors import DefinitionError, InvalidInputError, SerializationError, error_name, error_text

if TYPE_CHECKING:
    from wfgen.encryption import Keys

ANY: Any = Any
_NATIVE = frozenset({type(None), bool, int, float, str, list, dict})
_PLAIN = _NATIVE - {list, dict}
_CONFIG = ConfigDict(ser_json_inf_nan="constants", arbitrary_types_allowed=False)


@functools.lru_cache(maxsize=4096)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        # Types with a configuration of their own (models, dataclasses, TypedDicts) refuse a second one.
        try:
            return TypeAdapter(annotation, config=_CONFIG)
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":
                raise
            return TypeAdapter(annotation)
    except PydanticUserError as error:
        raise DefinitionError(
            f"{type_name(annotation)} cannot be encoded: {error.message.splitlines()[0]}",
            # pydantic's own advice on TypedDict before Python 3.12 needs no other beside it.
            hint=None if "typing_extensions" in error.message else "Use models, dataclasses or plain values.",
        ) from None


def adapter(annotation: Any) -> TypeAdapter[Any]:
    """The cached TypeAdapter of a type.

    Raises:
        DefinitionError: pydantic cannot encode the type.
    """
    try:
        return _adapter(annotation)
    except TypeError:  # unhashable annotation, such as Annotated with a list
        return _adapter.__wrapped__(annotation)


def type_name(annotation: Any) -> str:
    """A type as text, `module.Name`."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        if annotation.__module__ == "builtins":
            return annotation.__qualname__
        return f"{annotation.__module__}.{annotation.__qualname__}"
    return str(annotation)


@dataclass(frozen=True, slots=True)
class Codec:
    """Encodes and decodes, within a size limit in bytes.

    What is encoded is named by `what` in errors: text, or an object that gives it by `str`.
    """

    limit: int
    keys: Keys | None = None
    """Of encrypted payloads: hashes of inputs are keyed then."""

    def encode(self, value: Any, annotation: Any, what: object) -> bytes:
        """Encode a value by its type.

        Raises:
            SerializationError: it does not fit the type, cannot be encoded or is too large; `what` names it.
        """
        try:
            if (kind := type(value)) in _PLAIN and (annotation is kind or annotation is ANY):
                # There is nothing to warn of, and the option costs ten times the encoding.
                encoded = adapter(annotation).serializer.to_json(value)
            else:
                encoded = adapter(annotation).serializer.to_json(value, warnings="error")
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            raise SerializationError(
                f"{what} cannot be recorded as {type_name(annotation)}: {_reason(error)}",
                hint="Return a value of the declared type, made of what pydantic can serialise.",
            ) from None
        if len(encoded) > self.limit:
            raise SerializationError(
                f"{what} is {len(encoded):,} bytes, more than the limit of {self.limit:,}.",
                hint="Keep large data elsewhere and pass a reference, or raise the setting payload_limit.",
            )
        return encoded

    def decode(self, encoded: bytes, annotation: Any, what: object) -> Any:
        """Decode what was recorded.

        Raises:
            SerializationError: it does not load into today's type.
        """
        validator = adapter(annotation).validator
        try:
            return validator.validate_json(encoded)
        except Exception as error:  # a validator of the type's own may raise anything
            raise SerializationError(
                f"{what} does not load as {type_name(annotation)}: {describe(error)}",
                hint="The type has changed since it was recorded, or the value never fitted it.",
            ) from None

    def validate(self, value: Any, annotation: Any, what: object) -> bytes:
        """Check that data fits its declared type, and encode it.

        Raises:
            InvalidInputError: it does not fit; says where.
            SerializationError: it cannot be encoded or is too large.
        """
        if (kind := type(value)) in _PLAIN and annotation is kind:
            return self.encode(value, annotation, what)
        validator = adapter(annotation).validator
        try:
            checked = validator.validate_python(value)
        except Exception as error:  # a validator of the type's own may raise anything
            raise InvalidInputError(f"{what} does not fit {type_name(annotation)}: {describe(error)}") from None
        return self.encode(checked, annotation, what)

    def validate_json(self, text: bytes | str, annotation: Any, what: object) -> bytes:
        """The same for JSON text that comes from outside."""
        validator = adapter(annotation).validator
        try:
            checked = validator.validate_json(text)
        except Exception as error:  # as above
            raise InvalidInputError(f"{what} does not fit {type_name(annotation)}: {describe(error)}") from None
        return self.encode(checked, annotation, what)

    def digest(self, encoded: bytes, annotation: Any, like: str | None = None) -> str | None:
        """A short hash of an input that was encoded, by which a replay sees that it has changed.

        Fields that have their default value are left out: a new field with a default changes no recorded input.

        Args:
            encoded: the input.
            annotation: its type.
            like: a recorded hash that this one is to be compared with: made with the same key.

        Returns None when the key of `like` is not here.
        """
        if encoded[:1] in b"{[" and annotation is not ANY:
            loaded = adapter(annotation).validate_json(encoded)
            encoded = adapter(annotation).dump_json(loaded, exclude_defaults=True, warnings="none")
        key_id = None if like is None else like.rpartition(":")[0]
        if self.keys is not None and key_id != "":
            return self.keys.digest(encoded, key_id)
        return None if key_id else hashlib.blake2b(encoded, digest_size=6).hexdigest()

    def record(self, value: Any, annotation: Any, what: object) -> tuple[bytes, Any, str | None]:
        """Encode a result and decode it again.

        Without a declared type (`Any`) the value's own class serves, and is recorded by name; then the decoded
        value must equal the original.

        Returns the encoded form, the decoded value, and the recorded class as `module:qualname` if any.
        """
        if annotation is not ANY:
            encoded = self.encode(value, annotation, what)
            return encoded, self.decode(encoded, annotation, what), None
        recorded = None
        if type(value) not in _NATIVE:
            annotation = type(value)
            recorded = f"{annotation.__module__}:{annotation.__qualname__}"
            if find_class(recorded) is not annotation:
                raise SerializationError(
                    f"{what} is a {type_name(annotation)}, which cannot be found by its name again.",
                    hint="Declare the class at module level.",
                )
        try:
            encoded = self.encode(value, annotation, what)
        except DefinitionError as error:
            raise SerializationError(f"{what}: {error.message}", hint=error.hint) from None
        decoded = self.decode(encoded, annotation, what)
        if decoded != value and value == value:  # NaN does not equal itself
            raise SerializationError(
                f"{what} does not survive its encoding: {value!r:.200} comes back as {decoded!r:.200}.",
                hint="Give the function a return annotation, so that the result can be loaded by its type.",
            )
        return encoded, decoded, recorded

    def load(self, encoded: bytes, annotation: Any, recorded: str | None, what: object) -> Any:
        """Decode a result that `record` encoded."""
        if annotation is ANY and recorded is not None:
            found = find_class(recorded)
            if found is None:
                raise SerializationError(
                    f"{what} was recorded as {recorded}, which does not exist any more.",
                    hint="Keep the class where it was while runs that recorded it are in flight.",
                )
            annotation = found
        return self.decode(encoded, annotation, what)


def find_class(recorded: str) -> type | None:
    """Find a class by `module:qualname`, importing nothing that is not imported yet but its module."""
    module_name, _, qualname = recorded.partition(":")
    module = sys.modules.get(module_name)
    if module is None:
        try:
            module = __import__(module_name, fromlist=["_"])
        except ImportError:
            return None
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def describe(error: Exception) -> str:
    """One line a problem: where in the data, what is wrong, what was given."""
    if not isinstance(error, ValidationError):
        return f"its validator raised {error_name(error)}: {error_text(error)}"
    lines = []
    for item in error.errors(include_url=False)[:5]:
        place = ".".join(str(part) for part in item["loc"]) or "the value"
        lines.append(f"{place}: {item['msg']} (got {item['input']!r:.80})")
    more = error.error_count() - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    if len(lines) > 1 and lines[0].endswith("warnings:"):  # the first one is pydantic's title
        del lines[0]
    return lines[0] if lines else type(error).__name__


@dataclass(frozen=True, slots=True)
class Annotations:
    """The types that a callable declares; `ANY` where it declares none, or they cannot be resolved."""

    input: Any = ANY
    """Of the parameter that is given the data: the first one that nothing is bound to."""
    output: Any = ANY


_NONE = Annotations()
_KNOWN: dict[tuple[object, ...], Annotations] = {}


def annotations_of(function: Callable[..., Any]) -> Annotations:
    """The types that a callable declares.

    Kept by code object and annotations: a nested function is a new object each time, and what a decorator makes of
    two functions has one code.
    """
    bound = 0
    while isinstance(function, functools.partial):
        bound += len(function.args)
        function = function.func
    if isinstance(function, types.MethodType):
        bound += 1
        function = function.__func__
    elif not hasattr(function, "__code__"):
        call = getattr(type(function), "__call__", None)  # noqa: B004
        if isinstance(function, type) or not inspect.isfunction(call):
            return _NONE
        bound += 1
        function = call
    declared = getattr(function, "__annotations__", None)
    if not declared:
        return _NONE
    inner: Any = function
    while (wrapped := getattr(inner, "__wrapped__", None)) is not None:
        inner = wrapped
    code: types.CodeType | None = getattr(inner, "__code__", None)
    key = (code, bound, *declared.items())
    try:
        found = _KNOWN.get(key)
    except TypeError:  # an annotation that cannot be hashed, such as Annotated with a list
        return _annotations(function, code, bound)
    if found is None:
        found = _KNOWN[key] = _annotations(function, code, bound)
    return found


def _annotations(function: Callable[..., Any], code: types.CodeType | None, bound: int) -> Annotations:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return _NONE
    names = () if code is None else code.co_varnames[bound : code.co_argcount]
    return Annotations(hints.get(names[0], ANY) if names else ANY, hints.get("return", ANY))

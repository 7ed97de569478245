"""A catalogue checked by the schemas that STAC and its extensions publish.

Those of STAC itself come with pystac; those of extensions are on the web, and so are the schemas
that they refer to. All are fetched first, so that the check itself asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

from pystac.errors import STACValidationError
from pystac.validation import validate_dict
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from landcover_pnp.config.addresses import as_path
from landcover_pnp.errors import AddressError, DamagedError, NetworkError, RequestError
from landcover_pnp.products.packages import require_package
from landcover_pnp.storage.checked_json import parsed_object
from landcover_pnp.storage.remote.documents import read_document

_DRAFT = "http://json-schema.org/draft-07/schema#"

MOST_BYTES = 4 * 2**20
"""Largest schema that is read."""


@dataclass(frozen=True)
class ValidationSummary:
    """What a catalogue was found valid by.

    Attributes:
        documents: Number of the collection and its items.
        extensions: Schemas of extensions, by address.
    """

    documents: int
    extensions: tuple[str, ...]


def require_validation() -> None:
    """Refuses to check in an environment that cannot.

    Raises:
        RequestError: Says how to install what it takes.
    """
    require_package("jsonschema", "checks of a catalogue")


def validate_catalogue(collection: Path) -> ValidationSummary:
    """Checks a collection and its items, first by the schemas of STAC, then of its extensions.

    Args:
        collection: The collection's file; its links are relative.

    Returns:
        What they were found valid by.

    Raises:
        DamagedError: If one of them is not valid; says which, where and by which schema.
        RequestError: If a schema cannot be fetched, or the package of schemas is not installed.
    """
    require_validation()
    documents = dict(_documents(collection))
    core = _Core()
    for path, content in documents.items():
        _check(path, content, core)
    needed = sorted({uri for c in documents.values() for uri in c.get("stac_extensions", [])})
    whole = JsonSchemaSTACValidator()
    whole.schema_cache.update(_fetched(needed, whole.schema_cache))
    for path, content in documents.items():
        _check(path, content, whole)
    return ValidationSummary(len(documents), tuple(needed))


class _Core(JsonSchemaSTACValidator):
    """Checks by what comes with pystac alone."""

    def validate_extension(self, *_: Any, **__: Any) -> None:
        """Leaves extensions for later."""


def _documents(collection: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The collection and its items as JSON, by their files."""
    content = _read(collection)
    yield collection, content
    for link in content["links"]:
        if link["rel"] == "item":
            path = collection.parent / link["href"]
            yield path, _read(path)


def _read(path: Path) -> dict[str, Any]:
    content = parsed_object(path.read_bytes())
    if content is None:
        raise _invalid(path, "it is no JSON object", "STAC")
    return content


def _check(path: Path, content: Mapping[str, Any], validator: JsonSchemaSTACValidator) -> None:
    try:
        validate_dict(dict(content), href=path.resolve().as_uri(), validator=validator)
    except STACValidationError as error:
        best = error.__cause__
        where = "/".join(str(part) for part in getattr(best, "absolute_path", ()))
        what = str(getattr(best, "message", None) or error)
        schema = str(error).splitlines()[0].rpartition(" at ")[2]
        raise _invalid(path, f"{where}: {what}" if where else what, schema) from error


def _invalid(path: Path, what: str, schema: str) -> DamagedError:
    return DamagedError(
        found=f"{path} is not valid: {what[:300]}",
        expected=f"what the schema {schema} says",
        fix="publish this run again, and list the folder once more",
    )


def _fetched(needed: list[str], known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Schemas at addresses, and those they refer to, but for what is known."""
    found: dict[str, dict[str, Any]] = {}
    waiting = list(needed)
    while waiting:
        address = waiting.pop()
        if address in found or address in known:
            continue
        try:
            schema = parsed_object(read_document(as_path(address), most_bytes=MOST_BYTES))
        except (AddressError, NetworkError) as error:
            raise RequestError(
                found=f"the schema {address} cannot be fetched: {error.found}",
                expected="a network: schemas of extensions are on the web",
                fix="repeat it where there is one; the catalogue stands, and is valid by the "
                "schemas of STAC itself",
            ) from error
        if schema is None:
            raise RequestError(
                found=f"{address} is no schema",
                expected="a JSON schema: its server may be another one, or ask for a login",
                fix="open the address in a browser, and repeat it once it shows the schema",
            )
        schema.setdefault("$id", address)
        schema.setdefault("$schema", _DRAFT)  # what STAC's own are written in
        found[address] = schema
        waiting += [urldefrag(urljoin(address, ref))[0] for ref in _references(schema)]
    return found


def _references(schema: Any) -> Iterator[str]:
    """Addresses of other schemas in one."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str) and not schema["$ref"].startswith("#"):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)

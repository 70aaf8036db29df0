"""How a program starts a job: a curl line and a few lines of Python that work when pasted."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from jobs.models import Job

EXAMPLES: Mapping[str, Any] = {
    "string": "text",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "array": [],
    "object": {},
}


def call_url(request: HttpRequest, job: Job) -> str:
    """The address of the job's remote trigger, as the caller must write it."""
    path = f"/api/jobs/{job.slug}/trigger"
    return settings.PUBLIC_URL.rstrip("/") + path if settings.PUBLIC_URL else request.build_absolute_uri(path)


def curl(url: str, job: Job) -> str:
    """The command line; the key is taken from the variable HEADWAY_API_KEY."""
    return (
        f"curl -X POST {shlex.quote(url)} \\\n"
        '  -H "Authorization: Token $HEADWAY_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(_body(job))}"
    )


def python(url: str, job: Job) -> str:
    """The same with the standard library."""
    return (
        "import json, os, urllib.request\n\n"
        "request = urllib.request.Request(\n"
        f"    {url!r},\n"
        f"    data=json.dumps({{'parameters': {_example(job)!r}}}).encode(),\n"
        "    headers={\n"
        "        'Authorization': 'Token ' + os.environ['HEADWAY_API_KEY'],\n"
        "        'Content-Type': 'application/json',\n"
        "    },\n"
        ")\n"
        "run = json.load(urllib.request.urlopen(request))\n"
        "print(run['id'], run['status'])"
    )


def _body(job: Job) -> str:
    return json.dumps({"parameters": _example(job)}, ensure_ascii=False)


def _example(job: Job) -> dict[str, Any]:
    """The parameters a call must give: those that are required and have no default."""
    properties = job.schema.get("properties", {})
    missing = [name for name in job.schema.get("required", []) if name not in job.defaults]
    return {name: _value(properties.get(name, {})) for name in missing}


def _value(place: Mapping[str, Any]) -> Any:
    """A value that fits the schema as far as that can be guessed."""
    for found in (place.get("examples"), place.get("enum")):
        if found:
            return found[0]
    if "default" in place or "const" in place:
        return place.get("default", place.get("const"))
    kind = place.get("type", "string")
    if kind in ("integer", "number") and "minimum" in place:
        return place["minimum"]
    return EXAMPLES.get(kind if isinstance(kind, str) else kind[0])

"""The small files of a run: settings, preview, summary; written only where they say another thing.

The journal tells what they hold, and they are seen to be changed by that; of a finished run that
is called again none changes.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from landcover_pnp.pipeline.progress import Watch
from landcover_pnp.pipeline.summary import MapSummary
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.checked_json import json_text, read_object, read_regular
from landcover_pnp.storage.files import CHANGED, kept_as, set_aside, text_hash
from landcover_pnp.storage.journal import Journal
from landcover_pnp.storage.run_folder import RunFolder

_OF_A_PROCESS = ("kept", "done", "seconds", "stages", "finished", "command")
"""What a summary says of the process that made the map, and not of the map."""


class SmallFiles:
    """Writes the small files of a run.

    Args:
        paths: The run folder.
        journal: Its journal.
        watch: Told when there is work.
    """

    def __init__(self, paths: RunFolder, journal: Journal, watch: Watch) -> None:
        self.paths = paths
        self._journal, self._watch = journal, watch
        self._known = journal.hashes()
        self._result = None if journal.fault() or journal.broken_off else journal.last_result

    def write(self, path: Path, text: str) -> None:
        """Writes a file, unless it has this text; one that somebody changed is moved aside."""
        known, wanted = self._known.get(path.name), text_hash(text)
        there = read_regular(path)
        if there == text.encode():
            if known != wanted:
                self._watch.work()
                self._known[path.name] = wanted
            return
        said = []
        if known is not None and text_hash(there) != known:
            aside = set_aside(path)
            said = [f"{path.name} {CHANGED}, is made again{kept_as(aside)}"]
        elif os.path.lexists(path) and not path.is_file():
            set_aside(path)
        write_text(path, text)
        self._known[path.name] = wanted
        self._watch.work(*said)

    def conclude(self, summary: MapSummary) -> None:
        """Writes the summary and the end of the journal.

        A map that is the same as before, as one that was mended is, keeps its date.
        """
        content = json.loads(json_text(summary.content()))
        before = self._result["summary"] if self._result else read_object(self.paths.summary)
        if before is not None and _is_of_the_same_map(before, content):
            content = before
        self.write(self.paths.summary, json_text(content))
        preview = self.paths.preview.name
        end = {
            "exit_code": summary.exit_code,
            "summary": content,
            "files": {preview: self._known[preview]},
        }
        if self._result is None or any(self._result.get(key) != end[key] for key in end):
            self._watch.work()
        if self._journal.waiting is None:
            self._journal.write("end", **end)


def _is_of_the_same_map(before: dict[str, Any], now: dict[str, Any]) -> bool:
    try:
        datetime.fromisoformat(before["finished"])
    except (KeyError, TypeError, ValueError):
        return False
    same = all(before.get(key) == now[key] for key in now if key not in _OF_A_PROCESS)
    return same and before.keys() == now.keys()

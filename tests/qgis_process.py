"""Runs one algorithm of the plugin in QGIS without a display, and prints what it returns as JSON.

Usage: python3 tests/qgis_process.py PLUGINS ALGORITHM PARAMETERS [CANCEL_AT]

``PARAMETERS`` is JSON. With ``CANCEL_AT`` it is cancelled once a line with these words is shown.
"""

import json
import os
import sys
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path[:0] = [sys.argv[1], "/usr/share/qgis/python/plugins"]

from qgis.core import (  # noqa: E402 (its folders are known now)
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
)


class Feedback(QgsProcessingFeedback):
    """Keeps what it is told, and cancels at a word."""

    def __init__(self, cancel_at: str) -> None:
        super().__init__(False)
        self.lines: list[str] = []
        self.percents: list[float] = []
        self.cancel_at = cancel_at
        self.progressChanged.connect(self.percents.append)

    def pushInfo(self, text: str) -> None:  # noqa: N802
        """Takes a line."""
        self.lines.append(text)
        if self.cancel_at and self.cancel_at in text:
            self.cancel()


def main(algorithm: str, parameters: dict[str, Any], cancel_at: str) -> dict[str, Any]:
    """Runs it."""
    from landcover_processing import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    chosen = QgsApplication.processingRegistry().createAlgorithmById(algorithm)
    context, feedback = QgsProcessingContext(), Feedback(cancel_at)
    context.setProject(QgsProject.instance())
    error, results = "", {}
    fits, message = chosen.checkParameterValues(parameters, context)
    if not fits:
        return {"error": message}
    try:
        results, _ = chosen.run(parameters, context, feedback, catchExceptions=False)
    except QgsProcessingException as failed:
        error = str(failed)
    loaded = {path: details.name for path, details in context.layersToLoadOnCompletion().items()}
    return {
        "results": results,
        "error": error,
        "lines": feedback.lines,
        "percents": feedback.percents,
        "loaded": loaded,
    }


if __name__ == "__main__":
    application = QgsApplication([], False)
    application.initQgis()
    answer = main(sys.argv[2], json.loads(sys.argv[3]), " ".join(sys.argv[4:]))
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # QGIS' own end may crash once providers have gone

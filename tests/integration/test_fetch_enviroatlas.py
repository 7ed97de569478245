"""The data set of the paper by a stand-in: fetched, checked, mapped, and a transfer run on it."""

import hashlib
import json
from pathlib import Path

import pytest
from enviroatlas_zip import CITY, data_set
from file_server import file_server

from landcover_pnp.cli import main
from landcover_pnp.storage.remote.policy import allowed


def test_from_the_archive_to_a_map_and_a_transfer_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = data_set(tmp_path / "served")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()  # noqa: S324
    out = tmp_path / "data"
    with file_server(archive.parent) as server, allowed(server.host):
        words = ["--archive", server.url(archive.name), "--checksum", md5, "--split", "test"]
        assert main(["fetch", "enviroatlas", "--out", str(out), *words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    root = answer["root"]
    assert answer["tiles"] == {f"{CITY}-test": 2, "austin_tx-2012_1m-test": 2}
    tile = f"{{root: '{root}', city: {CITY}, split: test"
    (tmp_path / "map.yaml").write_text(
        f"scene: {{enviroatlas: {tile}, tile: 3607807_ne}}}}\n"
        "inference: {engine: evidence}\nworkers: 0\n"
    )
    assert main(["map", str(tmp_path / "map.yaml"), "--run", str(tmp_path / "run")]) == 0
    (tmp_path / "transfer.yaml").write_text(
        f"source: {{name: durham, enviroatlas: {tile}}}}}\n"
        f"targets: [{{name: austin, enviroatlas: {tile.replace(CITY, 'austin_tx-2012_1m')}}}}}]\n"
        "matrix_sources: [source]\nmethods: [weak_labels, evidence]\nworkers: 0\n"
        "inference: {engine: evidence}\n"
    )
    assert main(["transfer", str(tmp_path / "transfer.yaml"), "--run", str(tmp_path / "t")]) == 0
    assert "weak labels" in capsys.readouterr().out

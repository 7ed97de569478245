"""The command line imports nothing heavy before a command needs it."""

import subprocess
import sys


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from landcover_pnp.cli import main; code = main(['map', '--help']); "
        "heavy = {'torch', 'rasterio', 'sklearn', 'dask', 'diffusers'} & set(sys.modules); "
        "sys.exit(code or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--inference.engine" in done.stdout

"""tools/run_blocks.py runs the blocks of a page as they stand, and says which of them do not run."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "run_blocks.py"
PAGE = """
# First

```python
import mlx.core as mx
class MyLayer:
    pass
loss, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
optimizer.update(model, grads)
```

## Second

```python
MyLayer()
mx.nothing_of_this_name()
```

```python
del model.decoder
```

# Third

```python
raise RuntimeError
```
"""


def test_blocks_run_and_failures_are_told(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    done = subprocess.run(
        [sys.executable, str(TOOL), str(page), "--until", "Third"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.split("\n")[:3] == ["ok      0 First", "FAILED  1 Second", "FAILED  2 Second"]
    assert "nothing_of_this_name" in done.stderr

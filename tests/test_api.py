from __future__ import annotations

import subprocess
import sys

import lt_interp as lt
from lt_interp.corpus.sources import Corpus
from lt_interp.stages import LADDER, STAGES


def test_the_few_names_users_need_are_callable_whatever_was_imported_before():
    import lt_interp.corpus
    import lt_interp.stages

    assert list(lt.stages()["id"])[: len(LADDER)] == list(LADDER)
    assert isinstance(lt.corpus("embedded"), Corpus)
    assert lt.stages.STAGES is STAGES
    assert lt_interp.corpus.open_corpus("embedded").n_stories == 660
    assert set(dir(lt)) >= {"analyze", "corpus", "draw", "load", "stages"}


def test_stories_open_without_a_deep_learning_library():
    code = (
        "import sys, lt_interp as lt; lt.corpus('embedded');"
        "print(sorted({'torch', 'transformer_lens', 'transformers'} & set(sys.modules)))"
    )
    assert printed(code) == "[]"


def test_a_stage_opens_without_the_compiler():
    """PyTorch's takes longer to import than a stage to open; old versions import it themselves."""
    code = (
        "import sys, transformer_lens, lt_interp as lt; before = set(sys.modules);"
        "lt.load('10_moe'); print('torch._dynamo' in set(sys.modules) - before)"
    )
    assert printed(code) == "False"


def printed(code: str) -> str:
    """What a fresh Python prints."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()

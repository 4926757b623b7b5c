"""What jobs print reaches the client whatever the two ends' standard outputs are like."""

from __future__ import annotations

import pytest

from tests.support import RunScript

PRINTS = """
import io, sys
import pp

def greet(text):
    print(text)
    return len(text)

server = pp.Server(1)
{before}
job = server.submit(greet, ({text!r},))
number = job()
{after}
print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\xe9", "\\xe9"), ("\u20ac", "\\u20ac"), ("\ud800", "\\ud800")],
)
def test_what_the_client_cannot_show_is_shown_escaped(
    text: str, shown: str, run_script: RunScript
) -> None:
    source = PRINTS.format(text=text, before="", after="")
    ran = run_script(source, env={"PYTHONIOENCODING": "ascii"})
    assert ran.out == f"{shown}\n1\n"


@pytest.mark.parametrize("missing", ["None", "io.StringIO()"])
def test_a_client_without_standard_output_still_gets_the_result(
    missing: str, run_script: RunScript
) -> None:
    before = f"kept, sys.stdout = sys.stdout, {missing}"
    if missing != "None":
        before += "; sys.stdout.close()"
    source = PRINTS.format(text="hello", before=before, after="sys.stdout = kept")
    ran = run_script(source, quiet=False)
    assert ran.out == "5\n"


def test_a_job_that_replaces_standard_output_takes_it_from_no_other(
    run_script: RunScript,
) -> None:
    ran = run_script(
        """
        import io, sys
        import pp

        def replace():
            sys.stdout = io.StringIO()
            print("into it")

        server = pp.Server(1)
        server.submit(replace)()
        server.submit(print, ("heard",))()
        """
    )
    assert ran.out == "heard\n"

"""Text from outside stays text in every language that prunekit writes."""

import csv
import io
import os
import re
import subprocess

import pytest
import yaml
from markdown_it import MarkdownIt

from prunekit.engine.escaping import (
    comment_lines,
    csv_value,
    latex_text,
    markdown_code,
    markdown_text,
    one_line,
    shell_line,
)

ODD = [
    "m\ntouch PWNED\n#x",
    "m\rtouch PWNED",
    "m\u2028touch PWNED\x85touch PWNED\x0btouch PWNED",
    "'; touch PWNED; '",
    '"; touch PWNED; "',
    "$(touch PWNED) `touch PWNED`",
    "\\\ntouch PWNED",
    "\x1b[2Jscreen\x00end",
    "-->\n<!-- prunekit: end -->\n<script>alert(1)</script>",
    "`</code><script>`` ```",
    "a|b\\|c |\n| d",
    "[x](javascript:alert(1)) ![y](http://z) <img src=x> &lt;b&gt; **c** _d_ ~~e~~ $f$",
    "=1+1",
    " é – \u00a0 日本語 ",
    "undecodable \udcff byte",
    "",
]
RENDER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.mark.parametrize("text", ODD)
def test_a_comment_stays_one_comment_in_a_shell_and_in_yaml(tmp_path, text):
    comments = comment_lines([text, f"x {text}"])
    (tmp_path / "a.sh").write_text(f"{comments}echo done\n", encoding="utf-8")
    done = subprocess.run(["sh", "a.sh"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert os.listdir(tmp_path) == ["a.sh"]
    assert yaml.safe_load(f"{comments}key: value\n") == {"key": "value"}


@pytest.mark.parametrize("text", [text for text in ODD if "\0" not in text])
def test_a_shell_reads_every_word_back_from_one_line(tmp_path, text):
    words = [text, f"a{text}", f"{text}0af"]
    line = shell_line(["printf", "%s\\0", *words])
    assert line == one_line(line)
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == list(map(os.fsencode, words))
    assert not os.listdir(tmp_path)


def texts(tokens):
    """What a reader of the page sees, and the names of the tags around it."""
    inline = [child for token in tokens for child in token.children or ()]
    return "".join(t.content for t in inline), {t.tag for t in inline if t.tag}


@pytest.mark.parametrize("text", ODD)
def test_markdown_shows_a_text_as_it_is(text):
    tokens = RENDER.parse(f"This is {markdown_text(text)}.")
    assert texts(tokens) == (f"This is {one_line(text)}.", set())


@pytest.mark.parametrize("text", ODD)
def test_markdown_shows_a_name_as_code_as_it_is(text):
    tokens = RENDER.parse(f"This is {markdown_code(text)} here.")
    shown, tags = texts(tokens)
    assert tags == {"code"}
    assert shown.replace("  ", " ") == f"This is {one_line(text) or ' '} here.".replace("  ", " ")


@pytest.mark.parametrize("text", ODD)
def test_a_table_of_markdown_keeps_its_rows_and_cells(text):
    cell = markdown_text(text)
    html = RENDER.render(f"| {cell} | b |\n| --- | --- |\n| {cell} | {cell} |\n| c | {cell} |\n")
    assert (html.count("<tr>"), html.count("<th>"), html.count("<td>")) == (3, 2, 4)
    assert not re.findall(r"<(?!/?(?:table|thead|tbody|tr|th|td)>)", html)


FORMULAS = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", " =1", "\t=1", "\r=1", "＝1"]


@pytest.mark.parametrize("text", [*FORMULAS, *ODD])
def test_a_cell_of_csv_is_one_cell_and_no_formula(text):
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerow([csv_value(text), csv_value("next")])
    ((cell, following),) = csv.reader(io.StringIO(target.getvalue(), newline=None))
    assert following == "next"
    assert cell in (one_line(text), f"'{one_line(text)}")
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "＝"))


@pytest.mark.parametrize("number", [-1, -0.5, float("-inf"), 3, None, True])
def test_a_number_in_csv_stays_a_number(number):
    assert csv_value(number) is number


@pytest.mark.parametrize("text", ODD)
def test_latex_gets_no_command_no_row_and_no_option_from_a_text(text):
    latex = latex_text(text)
    assert not re.search(r"(?<!\\)[&%#_]|\n|\\\\|^[*\[]", latex)
    known = r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}"
    plain = re.sub(rf"{known}|\\[&%$#_{{}}]|\{{[\[*]\}}|\$\\(?:pm|infty)\$", "", latex)
    assert not set(plain) & set("\\{}$^&%#_[*<>|")

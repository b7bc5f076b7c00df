"""A multiple-choice item, and the texts that score its choices."""

from __future__ import annotations

from dataclasses import dataclass

from prunekit.plugins.objectives.blanks import Span

LABEL = "the correct answer is"


@dataclass(frozen=True)
class Item:
    """A question, or a text to be continued, with several answers of which one is right."""

    prompt: str
    """what stands before each choice, or the sentence whose `blank` it fills"""
    choices: tuple[str, ...]
    answer: int
    labels: tuple[str, ...]
    instruction: str
    """the question with its choices listed, as an instruction to a model"""
    blank: Span | None = None
    """the part of the prompt that a choice replaces"""

    def by_content(self) -> list[tuple[str, str]]:
        """Context and continuation for each choice, which is told by its text."""
        if self.blank:
            before, after = self.prompt[: self.blank[0]], self.prompt[self.blank[1] :]
            return [("", f"{before}{choice}{after}") for choice in self.choices]
        return [(self.prompt, f"{self._gap(choice)}{choice}") for choice in self.choices]

    def by_label(self) -> list[tuple[str, str]]:
        """Context, which lists all choices, and the label of each as continuation."""
        return [(f"{self.instruction}\n\n{LABEL}", f" {label}") for label in self.labels]

    def _gap(self, choice: str) -> str:
        """A space before a choice, unless there is white space already."""
        return "" if self.prompt[-1:].isspace() or choice[:1].isspace() else " "

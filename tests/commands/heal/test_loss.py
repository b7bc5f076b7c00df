"""The loss of a student: Kullback-Leibler divergence from its teacher, and that on text."""

import pytest
import torch

from prunekit.core.batch import IGNORE
from prunekit.plugins.commands.heal import loss
from prunekit.plugins.commands.heal.loss import student_loss
from prunekit.plugins.commands.heal.predictions import Likeliest, Whole

ROWS, LENGTH, WORDS = 2, 5, 11


@pytest.fixture
def logits():
    return torch.randn(ROWS, LENGTH, WORDS, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def teacher():
    made = torch.randn(ROWS, LENGTH, WORDS, generator=torch.Generator().manual_seed(1)) * 3
    return made


@pytest.fixture
def targets():
    made = torch.randint(0, WORDS, (ROWS, LENGTH), generator=torch.Generator().manual_seed(2))
    made[:, -1] = IGNORE
    return made


def by_hand(logits, targets, teacher, distill):
    """The same, place by place and word by word, in float64."""
    total, count = 0.0, 0
    for row in range(ROWS):
        for place in range(LENGTH):
            if targets[row, place] == IGNORE:
                continue
            q = logits[row, place].double().softmax(-1)
            p = teacher[row, place].double().softmax(-1)
            kl = sum(p[w] * (p[w] / q[w]).log() for w in range(WORDS))
            total = total + distill * kl - (1 - distill) * q[targets[row, place]].log()
            count += 1
    return total / count


@pytest.mark.parametrize("distill", [0.0, 0.3, 1.0])
def test_it_is_the_weighted_sum_of_both_over_predicted_tokens(
    logits, targets, teacher, distill, monkeypatch
):
    monkeypatch.setattr(loss, "PLACES", 3)  # several parts
    logits.requires_grad_()
    found = student_loss(logits, targets, Whole(teacher.flatten(0, 1)), distill)
    found.backward()
    own = logits.detach().clone().requires_grad_()
    wanted = by_hand(own, targets, teacher, distill)
    wanted.backward()
    assert float(found) == pytest.approx(float(wanted), abs=1e-6)
    assert torch.allclose(logits.grad, own.grad, atol=1e-6)
    assert not logits.grad[:, -1].any()


def test_a_student_like_its_teacher_is_no_further_from_it(logits, targets):
    found = student_loss(logits, targets, Whole(logits.flatten(0, 1)), 1.0)
    assert float(found) == pytest.approx(0, abs=1e-6)


def kept(teacher, words):
    logprobs, which = teacher.flatten(0, 1).log_softmax(-1).topk(words, -1)
    return Likeliest(which, logprobs)


def test_with_all_words_kept_the_divergence_is_the_whole_one(logits, teacher):
    own = logits.flatten(0, 1).log_softmax(-1)
    whole = Whole(teacher.flatten(0, 1)).divergence(own)
    assert torch.allclose(kept(teacher, WORDS).divergence(own), whole, atol=1e-4)


def test_with_fewer_words_the_others_count_as_one(logits, teacher):
    own = logits.flatten(0, 1).log_softmax(-1)
    found = kept(teacher, 4).divergence(own)
    p, q = teacher.flatten(0, 1).softmax(-1), own.exp()
    order = p.argsort(-1, descending=True)
    p, q = p.gather(-1, order), q.gather(-1, order)
    p = torch.cat([p[:, :4], p[:, 4:].sum(-1, keepdim=True)], -1)
    q = torch.cat([q[:, :4], q[:, 4:].sum(-1, keepdim=True)], -1)
    assert torch.allclose(found, (p * (p / q).log()).sum(-1), atol=1e-5)
    assert (found <= Whole(teacher.flatten(0, 1)).divergence(own) + 1e-6).all()

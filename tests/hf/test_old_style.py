"""What a configuration of transformers 5 says is said in the words of transformers 4 as well."""

import json

import pytest

from prunekit.hf.model_config import add_old_style, read_as

NEW = {"transformers_version": "5.23.0", "dtype": "bfloat16"}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def config_of(fields):
    from transformers import CONFIG_MAPPING

    return read_as(CONFIG_MAPPING[fields["model_type"]], fields)


def added(fields):
    """What is added to the fields; nothing that was there may change."""
    made = json.loads(json.dumps(fields))
    add_old_style(made, config_of(fields))
    assert {key: made[key] for key in fields if key != "text_config"} == {
        key: value for key, value in fields.items() if key != "text_config"
    }
    assert config_of(made).to_dict() == config_of(fields).to_dict()
    return {key: value for key, value in made.items() if key not in fields}


def rope(kind, **rope_parameters):
    return {**NEW, "model_type": kind, "rope_parameters": rope_parameters}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            rope("llama", rope_type="default", rope_theta=1e5),
            {"rope_theta": 1e5, "rope_scaling": None},
        ),
        (
            rope("llama", rope_theta=5e5, **LLAMA3),
            {"rope_theta": 5e5, "rope_scaling": LLAMA3},
        ),
        (
            rope("glm", rope_type="default", rope_theta=2e4, partial_rotary_factor=0.25),
            {"rope_theta": 2e4, "partial_rotary_factor": 0.25, "rope_scaling": None},
        ),
        (
            rope("gpt_neox", rope_type="default", rope_theta=2e4, partial_rotary_factor=0.5),
            {"rotary_emb_base": 2e4, "rotary_pct": 0.5, "rope_scaling": None},
        ),
        (
            rope(
                "gemma3_text",
                full_attention={"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                sliding_attention={"rope_type": "default", "rope_theta": 2e4},
            ),
            {
                "rope_theta": 1e6,
                "rope_local_base_freq": 2e4,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
        ),
    ],
)
def test_each_family_is_told_in_its_own_words_of_old(fields, words):
    assert added(fields) == {"torch_dtype": "bfloat16", **words}
    old = {key: value for key, value in {**fields, **words}.items() if key != "rope_parameters"}
    assert config_of(old).to_dict() == config_of(fields).to_dict()


@pytest.mark.parametrize(
    "fields",
    [
        rope(  # scaled where the old words have one base for it, and no scaling
            "gemma3_text",
            full_attention={"rope_type": "default", "rope_theta": 1e6},
            sliding_attention={"rope_type": "linear", "factor": 8.0, "rope_theta": 1e4},
        ),
        rope(  # a kind that came with release 5
            "gemma4_text",
            full_attention={
                "rope_type": "proportional",
                "rope_theta": 1e6,
                "partial_rotary_factor": 0.25,
            },
            sliding_attention={"rope_type": "default", "rope_theta": 1e4},
        ),
        {**NEW, "model_type": "gpt2"},
    ],
)
def test_what_the_old_words_cannot_say_is_not_said(fields):
    assert added(fields) == {"torch_dtype": "bfloat16"}


@pytest.mark.parametrize("version", ["4.57.6", "4.31.0", None])
def test_a_file_of_release_4_stays_as_it_is(version):
    fields = {"model_type": "llama", "rope_theta": 1e5, "dtype": "float16"}
    assert added({**fields, "transformers_version": version}) == {}
    assert added(fields) == {}


def test_the_part_that_describes_the_blocks_is_told():
    part = rope("llama", rope_type="default", rope_theta=1e5)
    fields = {**NEW, "model_type": "llava", "text_config": part}
    made = json.loads(json.dumps(fields))
    add_old_style(made, config_of(fields))
    assert made["text_config"]["rope_theta"] == 1e5
    assert "rope_theta" not in made
    assert made["torch_dtype"] == made["text_config"]["torch_dtype"] == "bfloat16"

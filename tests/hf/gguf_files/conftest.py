"""A tiny model as a GGUF file."""

import json

import pytest
import torch

BLOCKS = 6
PATTERN = [True, True, False, True, True, False]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch, proven_once):
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path_factory.mktemp("assets"))
    )


@pytest.fixture(scope="module")
def folder(tiny_model):
    return tiny_model("qwen3", n_blocks=BLOCKS, tie_word_embeddings=False, head_dim=128)


@pytest.fixture(scope="module")
def gguf(folder, tmp_path_factory):
    """The same model as a file, with an array of one entry per block."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    _write(path, folder)
    return path


@pytest.fixture
def write():
    """Write a folder's model as a file: `write(path, folder, arch="qwen3")`."""
    return _write


def _write(
    path,
    folder,
    arch="qwen3",
    weights=True,
    rope_type=None,
    divisors=None,
    array="kinds",
    pattern=PATTERN,
    **more,
):
    import gguf
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config, writer = AutoConfig.from_pretrained(folder), gguf.GGUFWriter(path, arch)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_array(f"{arch}.attention.{array}", pattern)
    for key, value in more.items():
        writer.add_uint32(key.replace("__", "."), value)
    if rope_type:
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope_type))
        writer.add_rope_scaling_factor(rope.get("factor", 1.0))
    if divisors is not None:
        writer.add_tensor("rope_freqs.weight", divisors)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([word for word, _ in words])
    writer.add_token_types([1] * len(words))
    model = tokenizer.backend_tokenizer.to_str()
    merges = json.loads(model)["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    if weights:
        loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        architectures = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}
        known = architectures.get(arch, gguf.MODEL_ARCH.QWEN3)
        names = gguf.get_tensor_name_map(known, config.num_hidden_layers)
        for name, tensor in loaded.state_dict().items():
            shift = 1 if arch.startswith("gemma") and "norm" in name else 0  # as llama.cpp has it
            if arch == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
                halves = tensor.reshape(-1, 2, config.head_dim // 2, config.hidden_size)
                tensor = halves.swapaxes(1, 2).reshape(tensor.shape)
            stem = names.get_name(name.removesuffix(".weight"))
            writer.add_tensor(f"{stem}.weight", (tensor + shift).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

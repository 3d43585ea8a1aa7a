"""Writes config.v4.json beside each Llama fixture, with transformers 4 itself (requirements-v4.txt).

Also runs transformers 4 on that config and those weights, so the second spelling is known to mean the same model.
Run after llama.py. Arguments, if any, are the names of the models to write. It writes no goldens.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM)

from configs import CONFIGS, FIXTURES

FAMILIES = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
}


def v4_config(spec):
    rope = dict(spec["rope"])
    theta = rope.pop("rope_theta")
    scaling = None if rope["rope_type"] == "default" else rope
    return FAMILIES[spec["family"]][0](**spec["hf"], rope_theta=theta, rope_scaling=scaling)


def write(name, spec):
    folder = FIXTURES / name
    model_class = FAMILIES[spec["family"]][1]
    written = model_class(v4_config(spec)).to(getattr(torch, spec["dtype"]))
    with tempfile.TemporaryDirectory() as scratch:
        written.save_pretrained(scratch)
        text = (Path(scratch) / "config.json").read_text()
        (folder / "config.v4.json").write_text(text)
        shutil.copy(folder / "model.safetensors", scratch)
        model = model_class.from_pretrained(scratch, torch_dtype=torch.float32).eval()
    keys = json.loads(text)
    assert {"rope_theta", "rope_scaling", "torch_dtype"} <= keys.keys() and "rope_parameters" not in keys

    golden = load_file(folder / "golden.safetensors")
    for prompt in json.loads((folder / "golden.json").read_text())["prompts"]:
        with torch.no_grad():
            got = model(torch.tensor([prompt["tokens"]])).logits[0, -spec["rows"]:]
        expected = golden[f"{prompt['name']}.logits.f32"]
        error = ((got - expected).norm() / expected.norm()).item()
        assert error < 1e-6, (name, prompt["name"], error)
        print(f"{name} {prompt['name']}: transformers {transformers.__version__} differs by {error:.1e}")


if __name__ == "__main__":
    assert transformers.__version__.startswith("4.")
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CONFIGS:
        write(name, CONFIGS[name])

"""Writes config.v4.json beside each Llama fixture, with transformers 4 itself (requirements-v4.txt).

Also runs transformers 4 on that config and those weights, so the second spelling is known to mean the same model.
Run after llama.py. It writes no goldens.
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from configs import CONFIGS, FIXTURES


def v4_config(spec):
    rope = dict(spec["rope"])
    theta = rope.pop("rope_theta")
    scaling = None if rope["rope_type"] == "default" else rope
    return LlamaConfig(**spec["hf"], rope_theta=theta, rope_scaling=scaling)


def write(name, spec):
    folder = FIXTURES / name
    written = LlamaForCausalLM(v4_config(spec))
    with tempfile.TemporaryDirectory() as scratch:
        written.save_pretrained(scratch)
        text = (Path(scratch) / "config.json").read_text()
        (folder / "config.v4.json").write_text(text)
        shutil.copy(folder / "model.safetensors", scratch)
        model = LlamaForCausalLM.from_pretrained(scratch).eval()
    keys = json.loads(text)
    assert {"rope_theta", "rope_scaling", "torch_dtype"} <= keys.keys() and "rope_parameters" not in keys

    golden = load_file(folder / "golden.safetensors")
    for prompt in json.loads((folder / "golden.json").read_text())["prompts"]:
        with torch.no_grad():
            got = model(torch.tensor([prompt["tokens"]])).logits[0]
        expected = golden[f"{prompt['name']}.logits.f32"]
        error = ((got - expected).norm() / expected.norm()).item()
        assert error < 1e-6, (name, prompt["name"], error)
        print(f"{name} {prompt['name']}: transformers {transformers.__version__} differs by {error:.1e}")


if __name__ == "__main__":
    assert transformers.__version__.startswith("4.")
    torch.set_num_threads(1)
    for name, spec in CONFIGS.items():
        write(name, spec)

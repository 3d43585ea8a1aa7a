"""What tiny-sdxl is made of beside its VAE: two tokenizers in CLIP's files, two CLIP text encoders, the UNet and the
noise schedule. Shapes only, no training. Sizes are SDXL's proportions with everything that is a switch left as it is:
no attention in the first level, depths 1 and 2 below it, text-time embedding, linear projections, padding by the end
token in one tokenizer and by token 0 in the other.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

import sdxl_shapes as shapes

MAX_TOKENS = 32
START, END = "<|startoftext|>", "<|endoftext|>"
WIDTH_1, WIDTH_2 = 48, 80
CHANNELS = [32, 64, 64]
UNET = dict(
    sample_size=16,
    in_channels=4,
    out_channels=4,
    block_out_channels=CHANNELS,
    layers_per_block=2,
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    # As in SDXL's own file, the first entry is not used, and attention_head_dim counts heads (of 16 features).
    transformer_layers_per_block=[1, 1, 2],
    attention_head_dim=[width // 16 for width in CHANNELS],
    cross_attention_dim=WIDTH_1 + WIDTH_2,
    use_linear_projection=True,
    norm_num_groups=8,
    addition_embed_type="text_time",
    addition_time_embed_dim=32,
    projection_class_embeddings_input_dim=WIDTH_2 + 6 * 32,
)
SCHEDULE = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="epsilon",
    timestep_spacing="leading",
    steps_offset=1,
)


def caption_words() -> list[str]:
    """Every word that a caption may hold, and what else people say of pictures."""
    rule = shapes.SPEC["captions"]
    texts = [*shapes.SHAPES, *shapes.COLOURS, *shapes.SIZES, *shapes.BACKGROUNDS, *rule["one"], *rule["two"]]
    texts += [*rule["background"], *(text for texts in rule["words"].values() for text in texts)]
    texts.append("normal quality low worst blurry drawing image and with the two shape shapes no")
    words = " ".join(texts).replace(",", " ").split()
    return sorted({word for word in words if word.isalpha()})


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte pair encoding until every word is one token: the commonest pair first, ties by the alphabet."""
    split = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges: list[tuple[str, str]] = []
    while any(len(parts) > 1 for parts in split):
        counts = Counter(pair for parts in split for pair in pairwise(parts))
        left, right = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append((left, right))
        for parts in split:
            for i in range(len(parts) - 1, 0, -1):
                if i < len(parts) and (parts[i - 1], parts[i]) == (left, right):
                    parts[i - 1 : i + 1] = [left + right]
    return merges


def byte_characters() -> list[str]:
    """The 256 printable stand-ins for bytes, in the order of CLIP's vocabulary: those that print first."""
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printing] + [chr(256 + i) for i in range(256 - len(printing))]


def make_tokenizers() -> tuple[CLIPTokenizer, CLIPTokenizer]:
    alphabet = byte_characters()
    merges = learn_merges(caption_words())
    tokens = [*alphabet, *(char + "</w>" for char in alphabet), *(a + b for a, b in merges), START, END]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    one, two = (CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad, model_max_length=MAX_TOKENS) for pad in (END, "!"))
    assert all(len(one(word).input_ids) == 3 for word in caption_words()), "a word of the captions is not one token"
    return one, two


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """tokenizer.json by transformers, and the older vocab.json and merges.txt that SDXL's folders have."""
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))
    specials = {"bos_token": START, "eos_token": END, "pad_token": tokenizer.pad_token, "unk_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(specials, indent=2) + "\n")


def make_text_encoders(tokenizer: CLIPTokenizer) -> nn.ModuleDict:
    """Random weights: {text_encoder, text_encoder_2}."""

    def text(width: int, activation: str) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, projection_dim=width,
            num_hidden_layers=3, num_attention_heads=width // 16, max_position_embeddings=MAX_TOKENS,
            hidden_act=activation, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip

    return nn.ModuleDict({
        "text_encoder": CLIPTextModel(text(WIDTH_1, "quick_gelu")),
        "text_encoder_2": CLIPTextModelWithProjection(text(WIDTH_2, "gelu")),
    })  # fmt: skip


def make_models(tokenizer: CLIPTokenizer) -> nn.ModuleDict:
    """Random weights: {text_encoder, text_encoder_2, unet}."""
    return nn.ModuleDict({**make_text_encoders(tokenizer), "unet": UNet2DConditionModel(**UNET)})


class Layout(nn.Module):
    """Reads off the UNet's features, while it trains, what its loss alone would teach it late: where a cell lies, and what
    colour is drawn there. Call `watch` once; `losses` then tells of the last forward pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.colour = nn.Conv2d(CHANNELS[-1], len(shapes.COLOURS) + 1, 1)
        self.place = nn.ModuleList(nn.Conv2d(CHANNELS[-1], 2, 1) for _ in range(4))
        self.seen: list[torch.Tensor] = []

    def watch(self, unet: UNet2DConditionModel) -> None:
        for block in (unet.down_blocks[1], unet.mid_block, unet.up_blocks[0], unet.up_blocks[1]):
            block.register_forward_hook(lambda _, inputs, output: self.seen.append(output if torch.is_tensor(output) else output[0]))

    def losses(self, colours: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy of the colours [n, h, w] of the first up block's cells (one past the last where there is none), and the
        mean squared error of cells' places, which reach from -1 to 1 both ways.
        """
        seen, self.seen = self.seen, []
        place = torch.zeros(())
        for head, features in zip(self.place, seen, strict=True):
            rows, columns = ((torch.arange(n) + 0.5) * 2 / n - 1 for n in features.shape[2:])
            wanted = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
            place = place + mse_loss(head(features), wanted.expand(len(features), -1, -1, -1)) / len(seen)
        return cross_entropy(self.colour(seen[2]), colours), place


def token_ids(tokenizers: tuple[CLIPTokenizer, CLIPTokenizer], captions: list[str]) -> list[torch.Tensor]:
    """[n, 32] for either tokenizer."""
    return [t(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids for t in tokenizers]


def encode(models: nn.ModuleDict, ids_1: torch.Tensor, ids_2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the SDXL pipeline feeds the UNet: both encoders' last but one layer side by side, and the pooled projection."""
    first = models["text_encoder"](ids_1, output_hidden_states=True)
    second = models["text_encoder_2"](ids_2, output_hidden_states=True)
    return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1), second.text_embeds


def noise_schedule() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(**SCHEDULE)


if __name__ == "__main__":
    one, two = make_tokenizers()
    parts = make_models(one)
    print({name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}, "vocabulary", len(one))
    caption = "a picture of a little red cross to the left of a large blue square on a white background"
    print(one(caption).input_ids, two("a disc", padding="max_length").input_ids, one.eos_token_id)
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(two, Path(folder))
        print(sorted(file.name for file in Path(folder).iterdir()))
        print((Path(folder) / "tokenizer_config.json").read_text())

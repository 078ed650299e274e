"""Batched sampling from the torch seq2seq, for sheets while training. The product samples with :mod:`mvae.engine`, faster and
seeded alike on every platform."""

import torch
from torch import Tensor
from transformers import MarianMTModel

from mvae.config import Seq2SeqConfig


@torch.no_grad()
def sample_tokens(
    model: MarianMTModel,
    config: Seq2SeqConfig,
    ids: Tensor,
    mask: Tensor,
    empty: Tensor,
    *,
    guidance: float,
    temperature: float,
    seed: int,
    top_k: int = 0,
) -> Tensor:
    """What the encoder reads, ids and mask [B, T] → image tokens int64 [B, positions].

    With classifier-free guidance against ``empty`` [1, 1] and no memory. ``top_k`` likeliest tokens are drawn from, 0: all.
    """
    device = next(model.parameters()).device
    count = ids.shape[0]
    blank, seen = torch.zeros_like(ids), torch.zeros_like(mask)
    place = config.memory * config.positions  # the text's place, the memory's being empty
    blank[:, place : place + 1] = empty + config.text_offset
    seen[:, place] = 1
    ids, mask = torch.cat([ids, blank]).to(device), torch.cat([mask, seen]).to(device)
    states = model.get_encoder()(input_ids=ids, attention_mask=mask)
    generator = torch.Generator().manual_seed(seed)
    last = torch.full((2 * count, 1), config.start_token, device=device)
    past, out = None, []
    for _ in range(config.positions):
        step = model(
            encoder_outputs=states, attention_mask=mask, decoder_input_ids=last, past_key_values=past, use_cache=True
        )
        past = step.past_key_values
        conditional, unconditional = step.logits[:, -1, : config.codebook].float().chunk(2)
        logits = (unconditional + guidance * (conditional - unconditional)) / max(temperature, 1e-4)
        if top_k:
            logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)
        token = torch.multinomial(logits.softmax(-1).cpu(), 1, generator=generator).to(device)
        out.append(token)
        last = torch.cat([token, token])
    return torch.cat(out, 1)

"""The ONNX Runtime sessions of one level, driven token by token as an application would: for golden outputs and parity."""

from pathlib import Path

import numpy as np
import onnxruntime

from mvae.engine.decoder_graph import branches
from mvae.engine.sessions import int8_settings

GRAPHS = ("encoder_model", "decoder_model_merged", "vae_encoder", "vae_decoder")


def graph_path(onnx_folder: Path, graph: str, level: str) -> Path:
    """File of one graph at one level, named as Optimum and transformers.js expect."""
    return onnx_folder / f"{graph}{'' if level == 'fp32' else '_' + level}.onnx"


def open_session(content: bytes) -> onnxruntime.InferenceSession:
    """A one-thread CPU session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for setting in int8_settings():
        options.add_session_config_entry(*setting)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class Level:
    """The four graphs of one level. Legend: B batch, T text tokens, P image positions, V vocabulary, S image side."""

    def __init__(self, onnx_folder: Path, level: str):
        text, decoder, *vae = (graph_path(onnx_folder, graph, level).read_bytes() for graph in GRAPHS)
        self._text, self._encode, self._decode = (open_session(content) for content in (text, *vae))
        self._first, self._later = (open_session(content) for content in branches(decoder, level))

    def hidden(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Text ids and mask, int64 [B, T] → float32 [B, T, D]."""
        return self._text.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask})[0]

    def forced(self, hidden: np.ndarray, mask: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Logits float32 [B, P, V] when the P ``tokens`` (the start mark first) are fed one by one through the cache."""
        steps = self._steps(hidden, mask)
        next(steps)
        return np.stack([steps.send(tokens[:, place : place + 1]) for place in range(tokens.shape[1])], 1)

    def greedy(self, hidden: np.ndarray, mask: np.ndarray, start: int, count: int, positions: int) -> np.ndarray:
        """``positions`` most likely tokens among the first ``count`` ids, int64 [B, P]; no guidance."""
        steps, tokens = self._steps(hidden, mask), np.full((len(hidden), 1), start, np.int64)
        next(steps)
        found = []
        for _ in range(positions):
            tokens = steps.send(tokens)[:, :count].argmax(-1)[:, None]
            found.append(tokens)
        return np.concatenate(found, 1)

    def _steps(self, hidden: np.ndarray, mask: np.ndarray):
        """Coroutine: send ids [B, 1], receive logits [B, V]."""
        known = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}
        session, logits = self._first, None
        while True:
            known["input_ids"] = yield logits
            names = [value.name for value in session.get_outputs()]
            wanted = {value.name for value in session.get_inputs()}
            results = dict(zip(names, session.run(names, {n: v for n, v in known.items() if n in wanted}), strict=True))
            # The later branch hands the text's keys and values through empty; those of the first branch stay.
            kept = {name: value for name, value in results.items() if ".decoder." in name or session is self._first}
            known |= {name.replace("present.", "past_key_values."): value for name, value in kept.items()}
            session, logits = self._later, results["logits"][:, -1]

    def encode(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """uint8 [B, S, S, 4] → ``tokens``, ``mean``, ``log_variance``."""
        names = ["tokens", "mean", "log_variance"]
        return dict(zip(names, self._encode.run(names, {"image": image}), strict=True))

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """int64 [B, P] → uint8 [B, S, S, 4]."""
        return self._decode.run(["image"], {"tokens": tokens})[0]

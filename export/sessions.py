"""The ONNX Runtime sessions of one level, driven token by token as an application would: for golden outputs and parity."""

from pathlib import Path

import numpy as np
import onnxruntime

GRAPHS = ("encoder_model", "decoder_model_merged", "vae_encoder", "vae_decoder")


def graph_path(onnx_folder: Path, graph: str, level: str) -> Path:
    """File of one graph at one level, named as Optimum and transformers.js expect."""
    return onnx_folder / f"{graph}{'' if level == 'fp32' else '_' + level}.onnx"


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A one-thread CPU session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Level:
    """The four graphs of one level. Legend: B batch, T text tokens, P image positions, V vocabulary, S image side."""

    def __init__(self, onnx_folder: Path, level: str):
        sessions = {graph: open_session(graph_path(onnx_folder, graph, level)) for graph in GRAPHS}
        self._text, self._decoder, self._encode, self._decode = (sessions[graph] for graph in GRAPHS)

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
        inputs = {value.name: value for value in self._decoder.get_inputs()}
        names = [value.name for value in self._decoder.get_outputs()]
        feeds = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask, "use_cache_branch": np.array([False])}
        for name, value in inputs.items():
            if name.startswith("past_key_values."):
                feeds[name] = np.zeros((len(hidden), value.shape[1], 0, value.shape[3]), np.float32)
        feeds = {name: value for name, value in feeds.items() if name in inputs}
        logits = None
        while True:
            ids = yield logits
            results = dict(zip(names, self._decoder.run(names, feeds | {"input_ids": ids}), strict=True))
            for name, value in results.items():
                past = name.replace("present.", "past_key_values.")
                if past in inputs and (".decoder." in name or not feeds["use_cache_branch"][0]):
                    feeds[past] = value
            feeds["use_cache_branch"] = np.array([True])
            logits = results["logits"][:, -1]

    def encode(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """uint8 [B, S, S, 4] → ``tokens``, ``mean``, ``log_variance``."""
        names = ["tokens", "mean", "log_variance"]
        return dict(zip(names, self._encode.run(names, {"image": image}), strict=True))

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """int64 [B, P] → uint8 [B, S, S, 4]."""
        return self._decode.run(["image"], {"tokens": tokens})[0]

"""Trained weights → ONNX graphs (Optimum) → compression levels → parity check → a zoo entry. See :mod:`export.__main__`."""

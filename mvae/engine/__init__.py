"""The run time: loads a zoo entry and runs it with ONNX Runtime. Neither torch nor transformers is imported here."""

"""Calibrators written as ONNX graphs, Python modules and C headers."""

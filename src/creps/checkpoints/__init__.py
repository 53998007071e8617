"""Models on disk: our own format, official files read without running them, ONNX, and the Hub."""

import lazy_loader

# What is public stands in __init__.pyi; a name's module is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

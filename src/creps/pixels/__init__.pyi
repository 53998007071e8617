from ._decoding import Header, decode, read_header
from ._files import read_picture

__all__ = ["Header", "decode", "read_header", "read_picture"]

from ._decoding import Header, decode, read_header
from ._files import read_picture
from ._numbers import read_numbers

__all__ = ["Header", "decode", "read_header", "read_numbers", "read_picture"]

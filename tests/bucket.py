"""A bucket of a real S3 server on the loopback, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest

NAME = "pictures"
KEY, SECRET = "an-id", "very-secret-word"


@contextmanager
def bucket() -> Iterator[str]:
    """The URL of an empty bucket; the environment says where it is, and how to enter."""
    pytest.importorskip("s3fs")
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    import s3fs
    from zarr.core.sync import sync

    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()  # of other servers
        urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
        s3fs.S3FileSystem().mkdir(NAME)
        yield f"s3://{NAME}"
        for each in list(s3fs.S3FileSystem._cache.values()):
            if each.asynchronous and each._s3 is not None:  # those of zarr-python
                sync(each._s3.__aexit__(None, None, None))
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()

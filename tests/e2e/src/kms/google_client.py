"""Google's own client for Cloud KMS, against the stand-in at the address that is the argument: makes a key of each
algorithm, signs, verifies, rotates, lists, disables, and prints the keys as JSON."""

import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from google.api_core import exceptions
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import (
    KeyManagementServiceRestTransport,
)
from google.oauth2.credentials import Credentials

RING = "projects/p/locations/global/keyRings/r"
ALGORITHMS = [
    "EC_SIGN_P256_SHA256",
    "EC_SIGN_P384_SHA384",
    "RSA_SIGN_PKCS1_2048_SHA256",
    "RSA_SIGN_PSS_2048_SHA256",
    "RSA_SIGN_PKCS1_3072_SHA256",
    "RSA_SIGN_PSS_4096_SHA512",
]
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def verify(pem, algorithm, signature, digest):
    key = serialization.load_pem_public_key(pem.encode())
    kind = utils.Prehashed(HASHES[algorithm[-3:]])
    if algorithm.startswith("EC"):
        key.verify(signature, digest, ec.ECDSA(kind))
    elif "PSS" in algorithm:
        size = HASHES[algorithm[-3:]].digest_size
        pss = padding.PSS(padding.MGF1(HASHES[algorithm[-3:]]), size)
        key.verify(signature, digest, pss, kind)
    else:
        key.verify(signature, digest, padding.PKCS1v15(), kind)


def sign(client, name, algorithm, checksum=None):
    kind = "sha" + algorithm[-3:]
    digest = hashlib.new(kind, b"message").digest()
    made = client.asymmetric_sign(
        request={
            "name": name,
            "digest": {kind: digest},
            "digest_crc32c": crc32c(digest) if checksum is None else checksum,
        }
    )
    assert made.name == name, made.name
    assert made.verified_digest_crc32c
    assert made.signature_crc32c == crc32c(made.signature)
    return made.signature, digest


def refused(call):
    try:
        call()
    except exceptions.GoogleAPICallError as error:
        return error
    raise AssertionError("it is not refused")


def tried(client, algorithm):
    key = client.create_crypto_key(
        parent=RING,
        crypto_key_id=algorithm.lower(),
        crypto_key={
            "purpose": "ASYMMETRIC_SIGN",
            "version_template": {"algorithm": algorithm},
        },
    )
    first = key.name + "/cryptoKeyVersions/1"
    public = client.get_public_key(name=first)
    assert public.name == first and public.algorithm.name == algorithm, public
    assert public.pem_crc32c == crc32c(public.pem.encode())
    signature, digest = sign(client, first, algorithm)
    verify(public.pem, algorithm, signature, digest)
    try:
        verify(public.pem, algorithm, signature, digest[::-1])
        raise AssertionError("whatever is signed verifies")
    except InvalidSignature:
        pass
    assert refused(lambda: sign(client, first, algorithm, 1)).code == 400

    second = client.create_crypto_key_version(
        parent=key.name, crypto_key_version={}
    ).name
    assert second == key.name + "/cryptoKeyVersions/2", second
    listed = client.list_crypto_key_versions(
        request={"parent": key.name, "filter": "state=ENABLED"}
    )
    assert sorted(one.name for one in listed) == [first, second]
    client.update_crypto_key_version(
        crypto_key_version={"name": first, "state": "DISABLED"},
        update_mask={"paths": ["state"]},
    )
    error = refused(lambda: sign(client, first, algorithm))
    assert error.code == 400 and "not enabled" in error.message, error
    pem = client.get_public_key(name=second).pem
    verify(pem, algorithm, *sign(client, second, algorithm))
    return {"algorithm": algorithm, "name": key.name, "pem": pem}


def main():
    transport = KeyManagementServiceRestTransport(
        host=sys.argv[1], credentials=Credentials("test-token"), url_scheme="http"
    )
    client = kms_v1.KeyManagementServiceClient(transport=transport)
    missing = RING + "/cryptoKeys/none/cryptoKeyVersions/1"
    assert refused(lambda: client.get_public_key(name=missing)).code == 404
    print(json.dumps([tried(client, algorithm) for algorithm in ALGORITHMS]))


main()

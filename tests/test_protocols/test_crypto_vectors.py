"""Every published vector, through both engines. Sources stand in the file beside each one."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocols.crypto import (
    cryptogram,
    dukpt_aes,
    dukpt_tdes,
    emv_keys,
    engine,
    kcv,
    mac,
    oda,
    pin,
    scripts,
    tdes,
    tr31,
)
from protocols.crypto.errors import CryptoError
from protocols.values import Pan, SecretBytes

VECTORS = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "vectors-crypto.json").read_text("utf-8")
)["vectors"]

Inputs = dict[str, Any]
Operation = Callable[[Inputs], bytes | str]
USAGES = {
    "pin": dukpt_aes.KeyUsage.PIN,
    "mac_gen": dukpt_aes.KeyUsage.MAC_GENERATION,
    "data_enc": dukpt_aes.KeyUsage.DATA_ENCRYPTION,
}


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def key(text: str) -> SecretBytes:
    return SecretBytes(h(text))


def card_key(i: Inputs, name: str = "imk") -> SecretBytes:
    return emv_keys.icc_master_key(key(i[name]), Pan(i["pan"]), i["psn"], i.get("option", "A"))


def script_key(i: Inputs, name: str) -> SecretBytes:
    return emv_keys.common_session_key(card_key(i, name), h(i["r"]))


def cryptogram_of(session_key: SecretBytes, i: Inputs) -> bytes:
    return cryptogram.application_cryptogram(session_key, h(i["data"]), i["padding"])


def by_version(version: int) -> Operation:
    """Give the operation of one cryptogram version number."""

    def operation(i: Inputs) -> bytes:
        return cryptogram.version_cryptogram(
            version,
            key(i["imk"]),
            Pan(i["pan"]),
            i["psn"],
            atc=h(i.get("atc", "0000")),
            unpredictable_number=h(i.get("un", "00000000")),
            data=h(i["data"]),
        )

    return operation


def arpc_method1(i: Inputs) -> bytes:
    session_key = card_key(i)
    if "r=" in i["key"]:
        session_key = emv_keys.common_session_key(session_key, h(i["key"].partition("r=")[2]))
    return cryptogram.arpc_method1(session_key, h(i["arqc"]), h(i["arc"]))


def arpc_method2(i: Inputs) -> bytes:
    session_key = emv_keys.common_session_key(card_key(i), h(i["r"]))
    return cryptogram.arpc_method2(session_key, h(i["arqc"]), h(i["csu"]), h(i["proprietary"]))


def nsiccs(i: Inputs) -> bytes:
    values = {tag: h(value) for tag, value in i.items() if tag not in ("imk", "pan", "psn")}
    data = cryptogram.arqc_data_nsiccs(values)
    pan = Pan(i["pan"])
    return cryptogram.issuer_cryptogram(key(i["imk"]), pan, i["psn"], values["9F36"], data)


def tdes_dukpt(i: Inputs) -> SecretBytes:
    initial = dukpt_tdes.initial_key(key(i["bdk"]), h(i["ksn"]))
    return dukpt_tdes.transaction_key(initial, h(i["ksn"]))


def tdes_dukpt_data(i: Inputs) -> bytes:
    return tdes.encipher_cbc(dukpt_tdes.data_key(tdes_dukpt(i), i["direction"]), h(i["data"]))


def aes_dukpt(i: Inputs) -> SecretBytes:
    initial = dukpt_aes.initial_key(key(i["bdk"]), h(i["ksn"])[:8])
    return dukpt_aes.derivation_key(initial, h(i["ksn"]))


def aes_dukpt_pin(i: Inputs) -> bytes:
    random = h(i["random"])
    block = dukpt_aes.encipher_pin(
        aes_dukpt(i), h(i["ksn"]), i["pin"], Pan(i["pan"]), lambda count: random[:count]
    )
    return block.reveal()


def aes_dukpt_working(i: Inputs) -> bytes:
    kind = dukpt_aes.KeyType[i["algorithm"]]
    return dukpt_aes.working_key(aes_dukpt(i), h(i["ksn"]), USAGES[i["usage"]], kind).reveal()


def pin_block_4(i: Inputs) -> bytes:
    random = h(i["random"])
    return pin.encipher_pin_block(
        key(i["key"]), i["pin"], Pan(i["pan"]), form=4, random_bytes=lambda count: random[:count]
    ).reveal()


def public(i: Inputs, name: str) -> oda.RsaPublicKey:
    return oda.RsaPublicKey(h(i[f"{name}_modulus"]), int(i[f"{name}_exponent"], 16))


def issuer_key(i: Inputs) -> bytes:
    ca = public(i, "ca")
    data = oda.CertificateData(h(i["cert"]), h(i["remainder"]), h(i["exponent"]))
    identifier = oda.open_certificate(ca, data.certificate, "issuer").identifier
    return oda.recover_issuer_key(ca, data, Pan(identifier.ljust(16, "0"))).modulus


def icc_modulus(i: Inputs) -> bytes:
    opened = oda.open_certificate(public(i, "issuer"), h(i["cert"]), "icc")
    return opened.modulus(h(i["remainder"]))


OPERATIONS: dict[str, Operation] = {
    "aes_cmac": lambda i: mac.aes_cmac(key(i["key"]), h(i["data"])),
    "cvv": lambda i: pin.cvv(key(i["cvk"]), Pan(i["pan"]), i["expiry"], i["service_code"]),
    "dukpt_aes_derivation_key": lambda i: aes_dukpt(i).reveal(),
    "dukpt_aes_initial_key": lambda i: dukpt_aes.initial_key(key(i["bdk"]), h(i["ikid"])).reveal(),
    "dukpt_aes_pin_block4": aes_dukpt_pin,
    "dukpt_aes_working_key": aes_dukpt_working,
    "dukpt_tdes_data_cbc_zero_iv": tdes_dukpt_data,
    "dukpt_tdes_initial_key": lambda i: dukpt_tdes.initial_key(key(i["bdk"]), h(i["ksn"])).reveal(),
    "dukpt_tdes_mac_alg3_pad1_4bytes": lambda i: dukpt_tdes.message_mac(
        tdes_dukpt(i), i["direction"], h(i["data"])
    ),
    "dukpt_tdes_pin_block0": lambda i: dukpt_tdes.encipher_pin(
        tdes_dukpt(i), i["pin"], Pan(i["pan"])
    ).reveal(),
    "dukpt_tdes_transaction_key": lambda i: tdes_dukpt(i).reveal(),
    "emv2000_tree_session_key": lambda i: emv_keys.emv2000_session_key(
        key(i["mk"]),
        h(i["atc"]),
        height=i["height"],
        branch_factor=i["branch"],
        initial_vector=h(i["iv"]),
    ).reveal(),
    "emv_ac_common_session_key": lambda i: cryptogram_of(
        emv_keys.common_session_key(card_key(i), h(i["r"])), i
    ),
    "emv_ac_mc_cvn16": by_version(16),
    "emv_ac_mc_cvn17": by_version(17),
    "emv_ac_visa_cvn10": by_version(10),
    "emv_ac_visa_cvn18": by_version(18),
    "emv_arpc_method1": arpc_method1,
    "emv_arpc_method2": arpc_method2,
    "emv_icc_master_key_kcv2": lambda i: kcv.kcv(card_key(i))[:4],
    "emv_script_mac": lambda i: scripts.script_mac(script_key(i, "imk_smi"), h(i["message"])),
    "emv_script_pin_encipher_emv_pad": lambda i: scripts.encipher_script_pin(
        script_key(i, "imk_smc"), i["pin"]
    ),
    "emv_script_pin_encipher_nopad": lambda i: scripts.encipher_script_pin(
        script_key(i, "imk_smc"), i["pin"], pad=False
    ),
    "emv_visa_sm_session_key_mac": lambda i: scripts.script_mac(
        emv_keys.visa_script_session_key(card_key(i), h(i["atc"])), h(i["message"])
    ),
    "mac_iso9797_alg1_tdes": lambda i: mac.cbc_mac(key(i["key"]), h(i["data"]), i["padding"]),
    "mac_iso9797_alg3": lambda i: mac.retail_mac(
        key(i["k1"] + i["k2"]), h(i["data"]), i["padding"]
    ),
    "nsiccs_arqc": nsiccs,
    "oda_icc_key_modulus": icc_modulus,
    "oda_issuer_key": issuer_key,
    "oda_sdad_dynamic_data": lambda i: oda.recover_dynamic_data(
        public(i, "icc"), h(i["sdad"]), h(i["terminal_data"])
    ),
    "pin_block_0": lambda i: pin.pin_block_encode(0, i["pin"], Pan(i["pan"])).reveal(),
    "pin_block_2": lambda i: pin.pin_block_encode(2, i["pin"]).reveal(),
    "pin_block_3_decode": lambda i: pin.pin_block_decode(3, key(i["pin_block"]), Pan(i["pan"])),
    "pin_block_4": pin_block_4,
    "tr31_unwrap": lambda i: tr31.unwrap(key(i["kbpk"]), i["key_block"])[1].reveal(),
    "visa_pvv": lambda i: pin.pvv(key(i["pvk"]), Pan(i["pan"]), i["pin"], int(i["pvki"])),
}


def test_vector_file_is_whole_and_every_operation_has_its_function() -> None:
    counted = Counter(vector["op"] for vector in VECTORS)
    assert sum(counted.values()) == 198
    assert set(counted) == set(OPERATIONS)
    assert all(vector["source"] for vector in VECTORS)


@pytest.mark.parametrize("which", engine.engines(), ids=lambda which: which.NAME)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_on_published_vectors_gives_the_published_values(
    operation: str, which: engine.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.current, "engine", which)
    wrong = {}
    for vector in VECTORS:
        if vector["op"] != operation:
            continue
        given = OPERATIONS[operation](vector["in"])
        text = given if isinstance(given, str) else given.hex().upper()
        if text != vector["out"]:
            wrong[vector["id"]] = text
    assert not wrong


def test_cryptogram_version_that_nobody_laid_down_is_refused() -> None:
    with pytest.raises(CryptoError):
        cryptogram.version_cryptogram(
            11,
            key("0123456789ABCDEFFEDCBA9876543210"),
            Pan("1234567890123456"),
            "00",
            atc=b"\0\1",
            unpredictable_number=bytes(4),
            data=b"",
        )

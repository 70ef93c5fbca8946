"""The keystore: values only for whoever has the master key, atomic files, session key sets."""

import json
import random

import pytest

from programme import errors
from programme.keystore import KeyKind, Keystore
from programme.limits import SESSION_SET_NUMBER_MAX
from protocols.errors import LumbungError
from protocols.values import SecretBytes

MASTER = SecretBytes(bytes(range(32)))
TEST_KEY = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keystore.json"


@pytest.fixture
def keystore(path):
    return Keystore.create(path, MASTER, random.Random(7).randbytes)


def _reopen(path, master=MASTER):
    return Keystore.open(path, master, random.Random(8).randbytes)


def test_generated_key_is_the_same_after_reopening_and_has_odd_parity(keystore, path):
    made = keystore.generate("imk_ac")
    again = _reopen(path)
    assert again.get("imk_ac") == made
    assert again.check_value("imk_ac") == keystore.check_value("imk_ac")
    assert all(byte.bit_count() % 2 for byte in made.reveal())


@pytest.mark.parametrize(
    ("kind", "key", "check_value"),
    [
        (KeyKind.TDES, "0123456789ABCDEFFEDCBA9876543210", "08D7B4"),
        (KeyKind.AES, "2B7E151628AED2A6ABF7158809CF4F3C", None),
        (KeyKind.HMAC, "AB" * 32, None),
    ],
)
def test_imported_key_keeps_value_kind_and_check_value(keystore, path, kind, key, check_value):
    value = SecretBytes(bytes.fromhex(key))
    keystore.put("pvk", value, kind, check_value=check_value)
    again = _reopen(path)
    assert again.get("pvk") == value
    assert again.kind("pvk") is kind
    assert len(again.check_value("pvk")) == 6
    assert again.labels() == ["pvk"]
    assert "pvk" in again


def test_aes_check_value_is_of_the_cmac(keystore):
    # CMAC of 16 zero bytes under the key of NIST SP 800-38B, D.1, first three bytes.
    key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.cmac import CMAC

    keystore.put("aes", SecretBytes(key), KeyKind.AES)
    cmac = CMAC(AES(key))
    cmac.update(bytes(16))
    assert keystore.check_value("aes") == cmac.finalize()[:3].hex().upper()


def test_rotated_key_keeps_the_generation_before_and_no_more(keystore, path):
    first = keystore.generate("tmk/12400001")
    second = keystore.rotate("tmk/12400001")
    third = keystore.rotate("tmk/12400001")
    again = _reopen(path)
    assert again.get("tmk/12400001") == third
    assert again.get("tmk/12400001", generation=2) == second
    assert again.generation("tmk/12400001") == 3
    assert len({first, second, third}) == 3
    with pytest.raises(errors.KeyNotFoundError, match="generation 1"):
        again.get("tmk/12400001", generation=1)


def test_many_keys_are_made_in_one_write_or_not_at_all(keystore, path):
    keystore.generate_all(f"tmk/{number}" for number in range(12400001, 12400021))
    before = path.read_bytes()
    assert json.loads(before)["revision"] == 1
    assert len({_reopen(path).get(label) for label in keystore.labels("tmk/")}) == 20
    with pytest.raises(errors.KeyRefusedError):
        keystore.generate_all(["tmk/12400099", "tmk/12400001"])
    assert path.read_bytes() == before


def test_removed_key_is_gone(keystore, path):
    keystore.generate("pvk")
    keystore.remove("pvk")
    with pytest.raises(errors.KeyNotFoundError):
        _reopen(path).get("pvk")
    with pytest.raises(errors.KeyNotFoundError):
        keystore.remove("pvk")


def test_session_set_stays_valid_until_the_next_one_is_used(keystore, path):
    first = keystore.new_session_set("12400001")
    keystore.confirm_session_set("12400001", first.number)
    second = keystore.new_session_set("12400001")
    assert keystore.session_set("12400001", first.number) == first
    assert keystore.confirm_session_set("12400001", second.number)
    assert not keystore.confirm_session_set("12400001", second.number)
    assert _reopen(path).session_sets("12400001") == [second.number]
    with pytest.raises(errors.KeyNotFoundError):
        keystore.session_set("12400001", first.number)
    assert first.mac != first.pin


def test_session_sets_in_use_and_newest_survive_any_number_of_lost_answers(keystore):
    used = keystore.new_session_set("12400001")
    keystore.confirm_session_set("12400001", used.number)
    for _lost in range(SESSION_SET_NUMBER_MAX + 3):
        newest = keystore.new_session_set("12400001")
        sets = keystore.session_sets("12400001")
        assert len(sets) <= 3
        assert sets[0] == used.number
        assert sets[-1] == newest.number
    assert keystore.session_set("12400001", used.number) == used


def test_no_key_stands_in_clear_in_the_file_or_in_any_repr(keystore, path):
    made = [keystore.generate("imk_ac"), keystore.new_session_set("12400001").mac]
    keystore.put("pvk", TEST_KEY)
    content = path.read_bytes()
    for secret in (*made, TEST_KEY, MASTER):
        assert secret.reveal() not in content
        assert secret.reveal().hex() not in content.decode().lower()
        assert secret.reveal().hex() not in repr(keystore.get("pvk")).lower()
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == ["keystore.json", "keystore.json.lock"]


def test_wrong_master_key_is_one_clear_error(keystore, path):
    with pytest.raises(errors.KeystoreMasterKeyError, match="not the one"):
        _reopen(path, SecretBytes(bytes(32)))
    with pytest.raises(errors.KeystoreMasterKeyError, match="32 bytes, not 16"):
        _reopen(path, SecretBytes(bytes(16)))


def _alter(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _swap(document):
    keys = document["keys"]
    keys["a"], keys["b"] = keys["b"], keys["a"]


ALTERATIONS = [
    (_swap, "altered"),
    (lambda d: d["keys"].pop("a"), "altered"),
    (lambda d: d["keys"]["a"][0].update(kind="aes"), "altered"),
    (lambda d: d.update(version=2), "version 2"),
    (lambda d: d.update(format="theirs"), "not a keystore"),
    (lambda d: d.pop("mac"), "altered"),
]


def test_altered_or_foreign_file_is_refused(keystore, path):
    keystore.generate("a")
    keystore.generate("b")
    sound, failed = path.read_bytes(), []
    for number, (change, text) in enumerate(ALTERATIONS):
        path.write_bytes(sound)
        _alter(path, change)
        try:
            _reopen(path)
        except errors.KeystoreForeignError as error:
            if text in str(error):
                continue
        failed.append((number, text))
    assert failed == []


def test_file_that_is_no_keystore_is_refused(path):
    for content in (b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1}'):
        path.write_bytes(content)
        with pytest.raises(errors.KeystoreForeignError, match="not a keystore"):
            _reopen(path)


def test_missing_keystore_and_existing_file_are_clear_errors(path, keystore):
    with pytest.raises(errors.KeystoreConflictError, match="there already"):
        Keystore.create(path, MASTER, random.randbytes)
    with pytest.raises(errors.KeystoreForeignError, match="no keystore here"):
        _reopen(path.with_name("other.json"))


REFUSED_KEYS = [
    lambda k: k.put("short", SecretBytes(b"12345678")),
    lambda k: k.put("weak", SecretBytes(bytes(16))),
    lambda k: k.put("halves", SecretBytes(bytes(range(8)) * 2)),
    lambda k: k.put("pvk", TEST_KEY),
    lambda k: k.put("new", TEST_KEY, check_value="000000"),
    lambda k: k.put("bad label", TEST_KEY),
    lambda k: k.put("../up", TEST_KEY),
    lambda k: k.generate("aes", KeyKind.AES, 20),
]


def test_key_that_may_not_be_stored_is_refused_and_nothing_changes(keystore, path):
    keystore.put("pvk", TEST_KEY)
    before, failed = path.read_bytes(), []
    for number, act in enumerate(REFUSED_KEYS):
        try:
            act(keystore)
        except LumbungError:
            if path.read_bytes() == before and keystore.labels() == ["pvk"]:
                continue
        failed.append(number)
    assert failed == []


def test_change_by_another_process_is_not_lost(keystore, path):
    other = _reopen(path)
    other.generate("theirs")
    with pytest.raises(errors.KeystoreConflictError, match="another process"):
        keystore.generate("ours")
    assert _reopen(path).labels() == ["theirs"]


def test_interrupted_write_leaves_the_old_file(keystore, path, monkeypatch):
    keystore.generate("kept")
    before = path.read_bytes()

    def torn(_self, _target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.replace", torn)
        with pytest.raises(errors.KeystoreConflictError, match="No space left"):
            keystore.generate("lost")
    assert path.read_bytes() == before
    assert keystore.labels() == ["kept"]
    keystore.generate("later")
    assert _reopen(path).labels() == ["kept", "later"]


def test_key_wanted_by_several_processes_is_made_once_and_no_other_key_is_lost(keystore, path):
    first = Keystore.open(path, MASTER, random.Random(1).randbytes)
    second = Keystore.open(path, MASTER, random.Random(2).randbytes)
    made = first.get_or_generate("storage/1", KeyKind.AES, 32)
    first.get_or_generate("storage/2", KeyKind.AES, 32)
    assert second.get_or_generate("storage/1", KeyKind.AES, 32) == made
    second.get_or_generate("storage/3", KeyKind.AES, 32)
    labels = Keystore.open(path, MASTER, random.Random(3).randbytes).labels("storage/")
    assert labels == ["storage/1", "storage/2", "storage/3"]

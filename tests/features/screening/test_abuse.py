"""The abuse model in numpy gives what its package gives; nothing a file names is run."""

import pickle

import profanity_check
import pytest

from features.screening import abuse, plain_joblib
from features.screening.abuse import AbuseModel, ModelMissing, WordList

TEXTS = [
    "sunset at the beach with friends #travel", "you fucking idiot", "", "kill yourself you worthless bitch",
    "Shitty day, but GREAT coffee", "ünïcode wörds 123 and more", "a a a the of", "cooking chicken breast",
]  # fmt: skip


def test_scores_are_those_of_the_package():
    model = AbuseModel()
    expected = profanity_check.predict_prob(TEXTS)
    assert [model.score(text) for text in TEXTS] == pytest.approx(expected.tolist(), abs=1e-9)


def test_words_are_found_whole_in_phrases_and_behind_digits():
    words = WordList()
    assert words.matches("assess the class of Scunthorpe") == []
    assert words.matches("what a Blow Job, you $h1thead") == ["blow job"]
    assert words.matches("what a b1tch") == ["bitch"]
    assert words.matches("5hit and 4ss") != []


class _Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_a_file_that_asks_for_a_function_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "model.joblib"
    path.write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(plain_joblib.JoblibFileError, match=r"builtins\.print"):
        plain_joblib.read(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"\x80\x05junk", pickle.dumps([1, 2])])
def test_a_damaged_model_is_missing_and_not_a_crash(content, tmp_path):
    for name in ("vectorizer.joblib", "model.joblib"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelMissing):
        AbuseModel(tmp_path)


def test_versions_name_the_packages():
    assert abuse.AbuseModel.VERSION.startswith("alt-profanity-check 1.")
    assert abuse.WordList.VERSION.startswith("better-profanity 0.")

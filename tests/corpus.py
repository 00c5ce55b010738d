"""Texts that every tokenizer view must get right, in many scripts and of many kinds."""

from __future__ import annotations

ESC = "\x1b"
HOSTILE: dict[str, str] = {
    "escape": f"{ESC}[2J{ESC}[31mred{ESC}[0m",
    "osc52": f"{ESC}]52;c;aGFja2Vk\x07",
    "title": f"{ESC}]0;owned\x07",
    "c1": "\x9b31m and \x9d52;c;aGFja2Vk\x9c",
    "bidi override": "safe \u202egnp.exe\u202c text",
    "bidi isolate": "\u2066if (admin)\u2069 \u2067return\u2069",
    "markup": "[red]not red[/red]",
    "markup closing": "[/nope]",
    "markup action": "[@click=app.quit]quit[/]",
}
"""Strings that must never act on a terminal or as markup, by what they attack with."""

TEXTS: dict[str, str] = {
    "empty": "",
    "space": " ",
    "spaces": "   \t  \n\n  ",
    "english": "The quick brown fox jumps over the lazy dog, and didn't it rain in 2026?",
    "leading and trailing space": "  two spaces before, and three after   ",
    "spanish": "¡Los Transformadores de Hugging Face son geniales! ¿Cuándo llegó el niño a Cádiz?",
    "german": "Straße, Äpfel und Öl: die GRÖßTE Maßeinheit.",
    "chinese": "我爱自然语言处理，今天天气很好。Transformer 模型很强大。",
    "japanese": "私は東京タワーへ行きました。カタカナとひらがな。",
    "korean": "안녕하세요, 토크나이저는 재미있습니다.",
    "thai": "ภาษาไทยไม่มีช่องว่างระหว่างคำ",
    "arabic": "مرحبًا بالعالم، هذه جملة قصيرة للاختبار.",
    "hebrew": "שלום עולם, זה משפט קצר.",
    "hindi": "नमस्ते दुनिया, यह एक छोटा वाक्य है। क्षत्रिय",
    "emoji": "I ❤️ it 🎉🎊 so 😀!",
    "emoji zwj": "👩‍👩‍👧‍👦 👨🏽‍💻 🏳️‍🌈 ❤️‍🔥",
    "emoji skin tones": "👍🏻👍🏼👍🏽👍🏾👍🏿 🤦🏽‍♀️",
    "flags": "🇪🇸🇮🇳🇸🇦 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "combining": "e\u0301 n\u0303o a\u030a Z\u0351\u036b\u0343\u036a\u0302algo",
    "composed": "é ño å",
    "compatibility": "ﬁne ① ㎏ ½ ﷺ Ⅷ ｆｕｌｌ",
    "astral": "𝕳𝖊𝖑𝖑𝖔 𐍈 𒀀",
    "lengthening": "İstanbul ΐ ŉ ǰ",
    "python": 'def f(x: int) -> str:\n    return f"{x:>10}"  # ok\n\n\nclass A(B):\n\tpass\n',
    "rust": 'fn main() { println!("{}", a[0..=n].iter().map(|&b| b as u32).sum::<u32>()); }',
    "html": "<p class='a'>1 &lt; 2 &amp;&amp; 3</p><!-- x -->",
    "json": '{"a": [1, 2.5e-3, null], "b": "\\u00e9"}',
    "url": "https://example.org/a/b?c=d&e=%20f#g",
    "numbers": "1,234.56 −7 3.14e10 0xDEADBEEF 12345678901234567890",
    "crlf": "one\r\ntwo\r\n\r\nthree",
    "lone cr": "one\rtwo\r\rthree\r",
    "newlines": "\n\n\na\n\n",
    "tabs": "a\tb\t\tc",
    "line separator": "one\u2028two\u2029three\u0085four\x0bfive\x0csix",
    "odd spaces": "a\u00a0b\u2003c\u3000d\u200be\ufefff\u2060g",
    "control": "a\x00b\x01c\x07d\x08e\x7ff",
    "replacement": "a\ufffdb\uffffc",
    "private use": "\ue000\uf8ff\U000f0000",
    "bert specials": "[CLS] this is [MASK] text [SEP] [PAD] [UNK] [cls] [SEP][SEP]",
    "gpt specials": "a<|endoftext|>b <|endoftext|> c",
    "llama specials": "<s>[INST] hi [/INST]</s> <unk> <pad> <mask> <s></s>",
    "chat specials": "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "metaspace": "▁already ▁has ▁▁ them Ġand Ċ too ##ing",
    "byte tokens": "<0x0A> <0xE2> and <0xGG>",
    "wordpiece": "unbelievably untokenizable antidisestablishmentarianism",
    "repeated": "ha" * 40,
    "no spaces": "Thequickbrownfoxjumpsoverthelazydogandthenitdoesitagainandagain",
    "punctuation": "!!! ... --- ??? «» “” ‘’ — – …",
    "contractions": "I'm you're they'll we've he'd don't o'clock 'tis",
    "case": "iPhone eBay NASA McDonald camelCase snake_case kebab-case SHOUTING",
    **{f"hostile {name}": text for name, text in HOSTILE.items()},
}
"""Every text by name."""

CORPUS: list[str] = list(TEXTS.values())

PAIRS: list[tuple[str, str]] = [
    ("What is a tokenizer?", "It cuts a text into tokens."),
    ("", "An empty first sequence."),
    ("An empty second sequence.", ""),
    ("", ""),
    ("¿Qué es? 👩‍👩‍👧‍👦", "这是一个测试。 [SEP] </s>"),
    ("  spaces  ", "\r\n"),
]
"""Pairs of sequences."""

PROSE = """\
It was a bright cold day in the north, and the clocks of the town were striking all at once.
A tokenizer cuts a text into pieces that a model knows; the pieces are called tokens.
She had the habit of reading the newspaper from the last page to the first, slowly, with a pencil.
The ship left the harbour before dawn, and nobody on the pier knew where it was going.
To learn a language is to have one more window from which to look at the world.
Die Nacht war still, und über den Dächern der Stadt stand der Mond.
En un lugar de la costa, cuyo nombre no recuerdo, vivía un pescador con su hermana.
Les enfants jouaient dans la cour pendant que leur mère préparait le dîner.
The function returns the number of tokens, or zero when the text is empty.
for index, token in enumerate(tokens): print(index, token.id, token.text)
Transformers are models; attention is what they do; tokens are what they attend to.
He counted the stars, lost count, and began again, as he had done on every clear night.
"""
"""A few lines to train small tokenizers on."""


def training_texts() -> list[str]:
    """Prose and the corpus, often enough for merges to be learnt."""
    return [*PROSE.splitlines() * 4, *(text for text in CORPUS if text)]

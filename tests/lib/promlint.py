# SPDX-License-Identifier: MIT
"""Prometheus's text format 0.0.4, read strictly, and the rules of promtool check metrics."""

import re
import shutil
import subprocess

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)')
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
PARTS = ("_bucket", "_sum", "_count")

# Units that are not base units, of promtool's list, and words that a name must not have.
UNITS = ("milliseconds", "microseconds", "nanoseconds", "ms", "minutes", "hours", "days", "weeks", "kilobytes", "megabytes", "gigabytes", "bits",
         "percent", "kelvin", "grams")
TYPE_WORDS = ("counter", "gauge", "histogram", "summary")


def labels_of(text):
    """The labels of a sample as a dict."""
    found, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m, f"no label at {text[at:]!r}"
        assert m[1] not in found, f"{m[1]} twice in {text!r}"
        found[m[1]] = m[2].replace(r"\"", '"').replace(r"\n", "\n").replace("\\\\", "\\")
        at = m.end()
    return found


class Family:
    def __init__(self, name):
        self.name, self.help, self.type = name, None, None
        self.samples = []  # (name, labels, value)

    def value(self, name=None, **labels):
        """The sum of the samples with these labels."""
        return sum(v for n, have, v in self.samples if n == (name or self.name) and labels.items() <= have.items())


def family_name(name, families):
    for part in PARTS:
        base = name.removesuffix(part)
        if base != name and base in families and families[base].type in ("histogram", "summary"):
            return base
    return name


def parse(text):
    """{name: Family}; fails on what is not the format."""
    families, current = {}, None
    assert text.endswith("\n"), "the last line has no end"
    for line in text[:-1].split("\n"):
        if m := re.match(rf"# (HELP|TYPE) ({NAME}) (.+)$", line):
            if m[1] == "HELP":
                assert m[2] not in families, f"{m[2]} comes twice"
                current = families[m[2]] = Family(m[2])
                current.help = m[3]
            else:
                assert current and current.name == m[2] and current.type is None and not current.samples, line
                assert m[3] in TYPES, line
                current.type = m[3]
            continue
        m = SAMPLE.match(line)
        assert m, f"no sample: {line!r}"
        name = family_name(m[1], families)
        assert current is not None and name == current.name, f"{line!r} stands among those of {current and current.name}"
        sample = (m[1], labels_of(m[2] or ""), float(m[3]))
        assert sample[:2] not in [s[:2] for s in current.samples], f"twice: {line!r}"
        current.samples.append(sample)
    return families


def check_histogram(family):
    series = {}
    for name, labels, value in family.samples:
        key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        one = series.setdefault(key, {"buckets": []})
        if name.endswith("_bucket"):
            one["buckets"].append((float(labels["le"].replace("+Inf", "inf")), value))
        else:
            one[name.rpartition("_")[2]] = value
    for key, one in series.items():
        bounds, counts = zip(*one["buckets"])
        assert list(bounds) == sorted(set(bounds)) and bounds[-1] == float("inf"), (family.name, key, bounds)
        assert list(counts) == sorted(counts) and counts[-1] == one["count"], (family.name, key, counts)
        assert one["sum"] >= 0, (family.name, key)


def lint(text):
    """What promtool would say, a list of texts; the families too."""
    families, said = parse(text), []
    for name, f in families.items():
        words = name.split("_")
        if not f.help:
            said.append(f"{name}: no help")
        if f.type is None:
            said.append(f"{name}: no type")
        if (f.type == "counter") != name.endswith("_total"):
            said.append(f"{name}: only a counter ends with _total, and each does")
        if f.type not in ("histogram", "summary") and name.endswith(PARTS):
            said.append(f"{name}: the end is a histogram's")
        if name.endswith("_info") and f.type != "gauge":
            said.append(f"{name}: an info is a gauge")
        said += [f"{name}: {w} is no base unit" for w in words if w in UNITS]
        said += [f"{name}: the type {w} is part of the name" for w in words if w in TYPE_WORDS]
        if ":" in name or name != name.lower():
            said.append(f"{name}: colons and capitals are for rules")
        for _, labels, value in f.samples:
            said += [f"{name}: the label {key}" for key in labels if key != key.lower() or (key in ("le", "quantile") and f.type != "histogram")]
            if f.type == "counter" and value < 0:
                said.append(f"{name}: {value}")
        if f.type == "histogram" and f.samples:
            check_histogram(f)
    if promtool := shutil.which("promtool"):
        ran = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True)
        said += ran.stderr.decode().splitlines() if ran.returncode else []
    return said, families

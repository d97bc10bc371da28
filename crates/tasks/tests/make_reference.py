#!/usr/bin/env python3
"""Writes reference.json: what metrics and windows must be, worked out a second time from their definitions.

    python3 crates/tasks/tests/make_reference.py > crates/tasks/tests/reference.json

Plain Python; correlations in exact fractions up to the last root. Run it again only when a definition changes.
"""

import json
import math
import random
import re
import string
from collections import Counter
from fractions import Fraction


def root_ratio(numerator, a, b):
    """numerator / sqrt(a * b) of exact fractions."""
    sign = -1 if numerator < 0 else 1
    return sign * math.sqrt(float(Fraction(numerator) ** 2 / (Fraction(a) * Fraction(b))))


# Classes ---------------------------------------------------------------------------------------------------------------


def f1(predicted, gold, positive):
    both = sum(p == positive and g == positive for p, g in zip(predicted, gold))
    found, there = predicted.count(positive), gold.count(positive)
    precision = Fraction(both, found) if found else Fraction(0)
    recall = Fraction(both, there) if there else Fraction(0)
    return 2 * precision * recall / (precision + recall) if precision + recall else Fraction(0)


def matthews(predicted, gold):
    """Gorodkin's R_K as the correlation of the two tables of indicators, summed over classes."""
    n, classes = len(gold), sorted(set(predicted) | set(gold))

    def covariance(a, b):
        total = Fraction(0)
        for k in classes:
            mean_a, mean_b = Fraction(a.count(k), n), Fraction(b.count(k), n)
            total += sum(((x == k) - mean_a) * ((y == k) - mean_b) for x, y in zip(a, b))
        return total

    a, b = covariance(predicted, predicted), covariance(gold, gold)
    return root_ratio(covariance(predicted, gold), a, b) if a and b else 0.0


def class_case(predicted, gold):
    classes = sorted(set(predicted) | set(gold))
    return {
        "predicted": predicted,
        "gold": gold,
        "accuracy": float(Fraction(sum(p == g for p, g in zip(predicted, gold)), len(gold))),
        "f1": float(f1(predicted, gold, 1)),
        "macro_f1": float(sum(f1(predicted, gold, k) for k in classes) / len(classes)),
        "matthews": matthews(predicted, gold),
    }


# Scores ----------------------------------------------------------------------------------------------------------------


def pearson(a, b):
    """None where a side is constant."""
    a, b = [Fraction(x) for x in a], [Fraction(x) for x in b]
    n = len(a)
    if n < 2:
        return None
    both = n * sum(x * y for x, y in zip(a, b)) - sum(a) * sum(b)
    spread_a, spread_b = n * sum(x * x for x in a) - sum(a) ** 2, n * sum(y * y for y in b) - sum(b) ** 2
    return root_ratio(both, spread_a, spread_b) if spread_a and spread_b else None


def ranks(numbers):
    return [Fraction(2 * sum(y < x for y in numbers) + sum(y == x for y in numbers) + 1, 2) for x in numbers]


def score_case(a, b):
    return {"predicted": a, "gold": b, "pearson": pearson(a, b), "spearman": pearson(ranks(a), ranks(b))}


# Answers ---------------------------------------------------------------------------------------------------------------


def normal(text):
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def word_f1(predicted, gold, version):
    predicted, gold = normal(predicted).split(), normal(gold).split()
    if version == 2 and not (predicted and gold):
        return float(predicted == gold)
    shared = sum((Counter(predicted) & Counter(gold)).values())
    return float(Fraction(2 * shared, len(predicted) + len(gold))) if shared else 0.0


def points(predicted, golds, version):
    if version == 2:
        golds = [gold for gold in golds if normal(gold)] or [""]
    exact = max(float(normal(predicted) == normal(gold)) for gold in golds)
    return exact, max(word_f1(predicted, gold, version) for gold in golds)


def answer_case(predicted, golds):
    case = {"predicted": predicted, "golds": golds, "normal": normal(predicted), "two": points(predicted, golds, 2)}
    case["one"] = points(predicted, golds, 1) if golds else None
    return case


def threshold_case(questions):
    """By trying each threshold on all questions; odds are all different.

    As evaluate-v2.0.py has it: a question with gold answers scores 0 unanswered and one without scores 0 answered, also
    where normalisation leaves nothing of an answer.
    """

    def total(threshold, metric):
        score = 0.0
        for question in questions:
            given, golds = question["predicted"], question["golds"]
            answered = threshold is not None and question["odds"] <= threshold
            if golds:
                score += points(given, golds, 2)[metric] if answered else 0.0
            else:
                score += float(not answered or given == "")
        return 100 * score / len(questions)

    def best(metric):
        found = (total(None, metric), None)
        for threshold in sorted(question["odds"] for question in questions):
            score = total(threshold, metric)
            if score > found[0] + 1e-9:
                found = (score, threshold)
        return {"score": found[0], "threshold": found[1]}

    return {"questions": questions, "exact": best(0), "f1": best(1)}


# Tags ------------------------------------------------------------------------------------------------------------------


def entity_case(sentences):
    """One pass with the state of both sides, as conlleval.pl does it."""
    right = found = there = 0

    def starts(before, tag):
        return tag != "O" and (before == "O" or tag[0] == "B" or before[2:] != tag[2:])

    def ends(tag, after):
        return tag != "O" and (after == "O" or after[0] == "B" or tag[2:] != after[2:])

    for predicted, gold in sentences:
        agreed = False
        last_p = last_g = "O"
        for p, g in zip(predicted + ["O"], gold + ["O"]):
            ended_p, ended_g = ends(last_p, p), ends(last_g, g)
            if agreed:
                if ended_p and ended_g:
                    right, agreed = right + 1, False
                elif ended_p != ended_g or p[2:] != g[2:]:
                    agreed = False
            begun_p, begun_g = starts(last_p, p), starts(last_g, g)
            found, there = found + begun_p, there + begun_g
            if begun_p and begun_g and p[2:] == g[2:]:
                agreed = True
            last_p, last_g = p, g
    return {"sentences": sentences, "right": right, "predicted": found, "gold": there}


# Windows ---------------------------------------------------------------------------------------------------------------


def window_case(tokens, max_length, step):
    """The spans and the rule of the most context as in run_squad.py, after a question of one token."""
    room, spans, start = max_length - 4, [], 0
    while start < tokens:
        length = min(tokens - start, room)
        spans.append((start, length))
        if start + length == tokens:
            break
        start += min(length, step)

    def most(position):
        best_score, best = None, None
        for number, (start, length) in enumerate(spans):
            end = start + length - 1
            if not start <= position <= end:
                continue
            score = min(position - start, end - position) + 0.01 * length
            if best_score is None or score > best_score:
                best_score, best = score, number
        return best

    widest = [[most(start + i) == number for i in range(length)] for number, (start, length) in enumerate(spans)]
    return {"tokens": tokens, "max_length": max_length, "step": step, "spans": spans, "widest": widest}


# Cases -----------------------------------------------------------------------------------------------------------------


def main():
    rng = random.Random(7)

    def drawn(n, classes):
        return [rng.randrange(classes) for _ in range(n)]

    def numbers(n):
        return [rng.randrange(-8, 9) / 4 for _ in range(n)]

    classes = [class_case(drawn(n, k), drawn(n, k)) for k in (2, 3, 5) for n in (1, 2, 7, 30)]
    classes += [class_case([1] * 5, drawn(5, 2)), class_case([0] * 4, [0] * 4), class_case([0, 0, 2], [1, 1, 1])]
    scores = [score_case(numbers(n), numbers(n)) for n in (1, 2, 3, 8, 40)]
    scores += [
        score_case([0.1] * 6, numbers(6)),
        score_case(numbers(6), [2.5] * 6),
        score_case([1e9, 1e9 + 1, 1e9 + 2, 1e9 + 2], [3.0, 1.0, 2.0, 2.0]),
        score_case([0.0, -0.0, 1.0], [1.0, 2.0, 3.0]),
        score_case([1.0, 2.0, 3.0], [-1.0, -10.0, -100.0]),
    ]
    answers = [
        answer_case(predicted, golds)
        for predicted, golds in [
            ("the Old Mill", ["Old mill.", "mill"]),
            ("an old, old mill", ["old mill", "the old old house"]),
            ("", []),
            ("mill", []),
            ("The", []),
            ("", ["mill"]),
            ("", [""]),
            ("an", ["The", "mill"]),
            ("...", ["!?"]),
            ("\u201cthe mill\u201d", ["mill"]),
            ("the\u2014mill \u2013 a", ["\u2014mill", "mill"]),
            ("na\u00efve \u00c9COLE", ["Na\u00efve \u00e9cole"]),
            ("\u0130stanbul \u03a3\u03a3", ["i\u0307stanbul \u03c3\u03c2"]),
            ("stra\u00dfe", ["STRASSE"]),
            ("a-b a_b a.n", ["ab ab an"]),
            ("co-operate's", ["cooperates"]),
            ("tabs\tand\u00a0spaces\u2003and\x1cmore", ["tabs and spaces and more"]),
            ("$5.4 billion", ["5.4 billion dollars", "54 billion"]),
            ("\u4e2d\u6587 the \u4e2d", ["\u4e2d\u6587 \u4e2d"]),
            ("anthem athe a1 1a", ["athe a1 anthem 1a"]),
        ]
    ]
    words = ["mill", "old", "river", "the", "stone", "bridge"]

    def phrase():
        return " ".join(rng.choice(words) for _ in range(rng.randrange(1, 4)))

    def question(number):
        golds = [phrase() for _ in range(rng.randrange(0, 3))]
        predicted = rng.choice([phrase(), "the", ""] + 3 * golds)
        return {"id": f"q{number}", "predicted": predicted, "golds": golds, "odds": 0.0}

    thresholds = []
    for size in (1, 2, 5, 12, 25):
        questions = [question(number) for number in range(size)]
        for asked, odds in zip(questions, rng.sample(range(-40, 40), size)):
            asked["odds"] = odds / 8 + (0 if asked["golds"] else 3 + 1 / 16)
        thresholds.append(threshold_case(questions))
    tags = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]

    def sentence():
        gold = [rng.choice(tags) for _ in range(rng.randrange(1, 12))]
        return [[tag if rng.random() < 0.7 else rng.choice(tags) for tag in gold], gold]

    entities = [entity_case([sentence() for _ in range(n)]) for n in (1, 1, 1, 5, 20)]
    shapes = [(1, 5, 1), (20, 10, 3), (20, 10, 2), (21, 12, 50), (37, 14, 5), (60, 29, 8), (40, 15, 1)]
    windows = [window_case(*shape) for shape in shapes]
    reference = {
        "classes": classes,
        "scores": scores,
        "answers": answers,
        "thresholds": thresholds,
        "entities": entities,
        "windows": windows,
    }
    print("{")
    for number, (name, cases) in enumerate(reference.items()):
        print(f' "{name}": [')
        print(",\n".join("  " + json.dumps(case) for case in cases))
        print(" ]" + ("," if number + 1 < len(reference) else ""))
    print("}")


main()

"""Tables, cards and recorded values of outputs/ say the same, and what the code says."""

import math
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers import models
from helpers.grid import beyond
from helpers.grid.effects import paired_effects
from helpers.grid.table import FACTORS, ranked, recipe_of
from helpers.notebook import parameters
from tests.deliverable.recorded import CHOSEN, FOLDER, model, table, value


def test_part_a_ends_where_its_curves_end():
    last = pd.read_csv(FOLDER / "learning_curves.csv").iloc[-1]
    assert abs(last.validation_cross_entropy - value("a", "validation cross-entropy")) <= 1e-6
    assert abs(last.validation_accuracy - value("a", "validation accuracy")) <= 1e-6


# ---- the table of the grid


def test_the_table_holds_every_combination_in_order():
    full = parameters.full("c")
    wanted = list(product(*(full[name] for name in FACTORS)))
    rows = list(table()[FACTORS].itertuples(index=False, name=None))
    assert rows == wanted


def test_part_c_recorded_the_effects_that_the_table_has():
    effects = paired_effects(table()).set_index(["factor", "low", "high"])["mean"]
    for factor in FACTORS:
        values = table()[factor]
        effect = effects[factor, values.min(), values.max()]
        recorded = value("c", f"effect of {factor}, smallest to largest")
        assert math.isclose(recorded, effect, rel_tol=1e-9)


def test_part_c_recorded_and_saved_the_best_row():
    best = next(ranked(table()).itertuples())
    assert value("c", "best validation accuracy") == best.accuracy
    assert model().recipe == recipe_of(best)
    scores = {"cross_entropy": best.cross_entropy, "accuracy": best.accuracy}
    assert model().card["validation"] == scores


def test_the_best_rows_were_repeated():
    best = ranked(table()).head(parameters.full("c")["repeat_top"])
    began = [each["first_accuracy"] for each in model().card["repeats"]]
    assert sorted(began) == sorted(best.accuracy)


def test_means_over_seeds_are_means():
    for line in [*model().card["repeats"], *model().card["beyond_grid"]["options"]]:
        accuracies = line["accuracies"]
        assert line["first_accuracy"] == accuracies[0]
        assert math.isclose(line["mean"], np.mean(accuracies), rel_tol=1e-9)
        assert math.isclose(line["sd"], np.std(accuracies, ddof=1), rel_tol=1e-9)


# ---- cards, each against the code


def test_options_are_those_of_the_code_and_one_was_saved():
    lines = {line["recipe"]: line for line in model().card["beyond_grid"]["options"]}
    assert len(lines) == len(beyond.OPTIONS)
    for name, line in lines.items():
        recipe = recipe_of(SimpleNamespace(**line, seed=0, shuffle_seed=0))
        assert beyond.options()[recipe] == name
    saved = model(models.RECIPE)
    accuracies = lines[beyond.options()[saved.recipe]]["accuracies"]
    assert saved.card["validation"]["accuracy"] == max(accuracies) == accuracies[saved.recipe.seed]


def test_the_wide_network_is_a_member_and_members_differ_in_their_seeds():
    members = beyond.members()
    assert [member.seed for member in members] == [*range(beyond.NUM_MEMBERS)]
    assert {replace(member, seed=0) for member in members} == {beyond.WIDE}
    assert model(models.WIDE).recipe in members


@pytest.mark.parametrize(("recipe", "name"), beyond.first_layers().items())
def test_a_first_layer_is_that_of_its_recipe_and_of_part_d(recipe, name):
    assert model(name).recipe == recipe
    assert value("d", f"{name}: validation accuracy") == model(name).card["validation"]["accuracy"]


def test_cards_and_parts_c_and_d_say_the_same_of_the_test_images():
    tested = model().card["beyond_grid"]["test"]
    for name, scores in tested.items():
        assert value("c", f"test accuracy, {name}") == scores["accuracy"]
    chosen = list(tested.values())[: len(CHOSEN)]
    assert [model(name).card["test"] for name in CHOSEN] == chosen
    assert value("d", "test accuracy") == model().card["test"]["accuracy"]

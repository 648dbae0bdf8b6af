"""Every picture, drawn from numbers that are already computed, in one style.

Each function takes arrays or tables, draws one figure and returns a `style.Picture`, which carries
its caption and its text alternative and shows itself as the last line of a cell. Titles say what
the picture shows, and for that the functions count and average a little. Left out: training,
reading data; the numbers come from `helpers.analysis`.
"""

from helpers.figures.exploring import losses_by_step, one_image
from helpers.figures.first_layer import exciting_images, noise_to_clothes, show_W0
from helpers.figures.gradient import error_against_step
from helpers.figures.grid import grid_heat_map, grid_main_effects
from helpers.figures.training import confusion, learning_curves, mistakes, samples

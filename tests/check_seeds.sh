#!/bin/sh
# What the fuzz target demands, on its seeds and on each line of the corpus.
exec build/tests/scrub_files tests/fuzz/seeds/scrub/* tests/data/scrub_positive.tsv tests/data/scrub_negative.tsv

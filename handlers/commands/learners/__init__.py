"""`rapport learners`: which versions there are, how good they are, and which of them decides."""

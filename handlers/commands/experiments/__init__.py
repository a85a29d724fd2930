"""`rapport experiments`: how the arms of experiments and the steps of sequences do."""

"""The lake stage: writes daily files and the raw archive, and proves them against each other."""

"""Speed and memory as ratios measured in one run; the machines are shared and noisy, so nothing here fails a build."""

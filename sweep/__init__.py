"""Parameter sweeps over replayed markets: study file in, ranked and reproducible trials out."""

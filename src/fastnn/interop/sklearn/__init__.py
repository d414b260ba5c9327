"""Estimators for scikit-learn's pipelines, searches and cross-validation; they need scikit-learn itself."""

from fastnn.interop.sklearn.mlp import MLPClassifier, MLPRegressor
from fastnn.interop.sklearn.network import NetworkClassifier, NetworkRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"]

"""The types that Jeyn lets a scikit-learn archive build, beyond the public estimators that skops itself lists.

Each was found by saving every estimator of scikit-learn, and read: none runs code or opens anything when it is built.
Exact names, not prefixes: `sklearn.` also leads to `exec`, to downloads and to joblib's pickle. What each may be made
by is asked before (`skops_schema.py`), and what compiled code follows is checked after loading (`sound.py`). What is
not here on purpose: distributions of scipy, which run text when they are unpickled (`parts.py`), and distances with
matrices.
"""

from __future__ import annotations

_NAMES = {
    "builtins": "object",
    "collections": "OrderedDict defaultdict",
    "functools": "partial",
    "numpy": (
        "clip complexfloating dtype floating generic inexact integer mean median nan_to_num number signedinteger "
        "unsignedinteger"
    ),
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",
    "scipy.interpolate._bsplines": "BSpline",
    "scipy.sparse._csr": "csr_matrix",
    "sklearn._loss.loss": "HalfTweedieLoss HalfTweedieLossIdentity",
    "sklearn.calibration": "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    "sklearn.cluster._bisect_k_means": "_BisectingTree",
    "sklearn.cluster._kmeans": "_kmeans_single_elkan _kmeans_single_lloyd",
    "sklearn.compose._column_transformer": "make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_oneway f_regression r_regression",
    "sklearn.gaussian_process._gpc": "_BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels": (
        "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern PairwiseKernel "
        "Product RBF RationalQuadratic Sum WhiteKernel"
    ),
    "sklearn.impute._iterative": "IterativeImputer _ImputerTriplet",
    "sklearn.metrics._classification": (
        "accuracy_score balanced_accuracy_score brier_score_loss d2_brier_score d2_log_loss_score "
        "f1_score jaccard_score log_loss matthews_corrcoef precision_score recall_score"
    ),
    "sklearn.metrics._dist_metrics": (
        "ChebyshevDistance64 EuclideanDistance64 HaversineDistance64 ManhattanDistance64 MinkowskiDistance64"
    ),
    "sklearn.metrics._ranking": "average_precision_score roc_auc_score top_k_accuracy_score",
    "sklearn.metrics._regression": (
        "d2_absolute_error_score explained_variance_score max_error mean_absolute_error "
        "mean_absolute_percentage_error mean_gamma_deviance mean_poisson_deviance mean_squared_error "
        "mean_squared_log_error median_absolute_error r2_score root_mean_squared_error "
        "root_mean_squared_log_error"
    ),
    "sklearn.metrics._scorer": (
        "_CurveScorer _MultimetricScorer _PassthroughScorer _Scorer negative_likelihood_ratio positive_likelihood_ratio"
    ),
    "sklearn.metrics.cluster._supervised": (
        "adjusted_mutual_info_score adjusted_rand_score completeness_score fowlkes_mallows_score "
        "homogeneity_score mutual_info_score normalized_mutual_info_score rand_score v_measure_score"
    ),
    "sklearn.model_selection._search_successive_halving": "HalvingGridSearchCV HalvingRandomSearchCV",
    "sklearn.model_selection._split": (
        "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut LeavePOut "
        "PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold "
        "StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit"
    ),
    "sklearn.multiclass": "_ConstantPredictor",
    "sklearn.neighbors._ball_tree": "BallTree",
    "sklearn.neighbors._kd_tree": "KDTree",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "sklearn.tree._tree": "Tree",
    "sklearn.utils._bunch": "Bunch",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    "sklearn.utils.validation": "check_array",
}

TRUSTED_TYPES = frozenset(f"{module}.{name}" for module, names in _NAMES.items() for name in names.split())

"""Names of Python and of widespread libraries that are known to change nothing but what they return or derive."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BUILTINS = _words(
    """abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate float format frozenset
    getattr hasattr hash hex id int isinstance issubclass len list max min object oct ord pow range repr reversed round
    set slice sorted str sum super tuple zip"""
)
# All that these modules hold either makes a value or looks something up.
MODULES = _words(
    """abc base64 calendar cmath collections copy dataclasses datetime enum fractions hashlib ipaddress itertools json
    jeyn math numbers operator pathlib platform re statistics string struct textwrap time tomllib types typing
    typing_extensions uuid zoneinfo"""
)
# Of Jeyn itself these do more than declare something.
ACTS = _words("context dataset_store model_store open register_serializer use")
CALLS = _words(
    """attr.Factory attr.ib attrs.Factory attrs.field attrs.fields contextvars.ContextVar decimal.Decimal
    functools.partial importlib.metadata.version inspect.signature logging.getLogger numpy.abs numpy.arange
    numpy.array numpy.asarray numpy.column_stack numpy.concatenate numpy.cos numpy.cumsum numpy.datetime64
    numpy.deg2rad numpy.diag numpy.dtype numpy.empty numpy.exp numpy.eye numpy.finfo numpy.float32
    numpy.float64 numpy.full numpy.full_like numpy.geomspace numpy.hstack numpy.identity numpy.iinfo
    numpy.int32 numpy.int64 numpy.linspace numpy.load numpy.loadtxt numpy.log numpy.log10 numpy.log2
    numpy.logspace numpy.max numpy.mean numpy.meshgrid numpy.min numpy.ones numpy.ones_like numpy.outer
    numpy.random.default_rng numpy.repeat numpy.sin numpy.sort numpy.sqrt numpy.stack numpy.sum numpy.tan
    numpy.tile numpy.timedelta64 numpy.unique numpy.vstack numpy.where numpy.zeros numpy.zeros_like
    os.cpu_count os.environ.get os.fspath os.getcwd os.getenv os.getpid os.listdir os.path.abspath
    os.path.basename os.path.dirname os.path.exists os.path.expanduser os.path.isdir os.path.isfile
    os.path.join os.path.realpath os.path.relpath os.path.splitext pandas.Categorical
    pandas.CategoricalDtype pandas.DataFrame pandas.Index pandas.Series pandas.Timedelta pandas.Timestamp
    pandas.bdate_range pandas.concat pandas.date_range pandas.interval_range pandas.period_range
    pandas.read_csv pandas.read_excel pandas.read_feather pandas.read_json pandas.read_parquet
    pandas.to_datetime pandas.to_numeric pandas.to_timedelta polars.col polars.concat polars.lit
    polars.read_csv polars.read_json polars.read_parquet polars.scan_csv polars.scan_parquet pyarrow.array
    pyarrow.binary pyarrow.bool_ pyarrow.date32 pyarrow.dictionary pyarrow.field pyarrow.float32
    pyarrow.float64 pyarrow.int16 pyarrow.int32 pyarrow.int64 pyarrow.int8 pyarrow.large_string
    pyarrow.list_ pyarrow.schema pyarrow.string pyarrow.struct pyarrow.table pyarrow.timestamp pyarrow.uint8
    pydantic.ConfigDict pydantic.Field pydantic_settings.SettingsConfigDict random.Random
    scipy.stats.loguniform scipy.stats.norm scipy.stats.randint scipy.stats.uniform sklearn.base.clone
    sklearn.compose.make_column_selector sklearn.compose.make_column_transformer sklearn.metrics.make_scorer
    sklearn.pipeline.make_pipeline sklearn.pipeline.make_union sys.getsizeof torch.arange
    torch.cuda.is_available torch.device torch.ones torch.tensor torch.zeros yaml.load yaml.safe_load"""
)
# Making an instance of a class of theirs, by its capital letter, changes nothing else.
CLASSES = _words("catboost lightgbm numpy pandas polars pyarrow scipy sklearn torch xgboost")
METHODS = _words(
    """absolute alias as_posix astype bind capitalize casefold copy count date decode difference digest encode
    endswith exists expanduser format get get_new_batch getvalue glob hexdigest index intersection is_dir
    is_file isoformat items iterdir join joinpath keys lower lstrip mean new_table only options partition
    read read_bytes read_text readlines relative_to removeprefix removesuffix replace reshape resolve rglob
    rpartition rsplit rstrip split splitlines startswith std strftime strip sum timestamp title to_numpy
    tolist total_seconds union update_major update_minor update_patch upper values with_name with_suffix
    without zfill"""
)
DECORATORS = _words(
    """attr.dataclass attr.define attr.frozen attr.s attrs.define attrs.frozen beartype.beartype classmethod
    contextlib.asynccontextmanager contextlib.contextmanager functools.cache functools.cached_property
    functools.lru_cache functools.singledispatch functools.total_ordering functools.wraps numba.guvectorize numba.jit
    numba.njit numba.vectorize numpy.vectorize property pydantic.computed_field pydantic.dataclasses.dataclass
    pydantic.field_serializer pydantic.field_validator pydantic.model_serializer pydantic.model_validator staticmethod
    torch.inference_mode torch.jit.script torch.no_grad typeguard.typechecked"""
)
# Every decorator of theirs.
DECORATING = _words("abc dataclasses enum jeyn typing typing_extensions")
# Nothing happens to whoever derives from a class of theirs.
BASES = _words(
    """abc ast collections dataclasses enum html jeyn json keras lightning logging msgspec numbers pydantic
    pydantic_settings pytorch_lightning sklearn string threading torch typing typing_extensions unittest"""
)
# Decorators and bases that show nobody the docstring of what they are given.
READ_NO_DOCSTRING = _words(
    """ABC BaseEstimator ClassifierMixin Dataset Enum Exception Flag Generic IntEnum Module NamedTuple Protocol
    RegressorMixin StrEnum Thread TransformerMixin TypedDict abstractmethod asynccontextmanager cache cached_property
    classmethod contextmanager dataclass define deleter dict final frozen getter inference_mode jit list lru_cache njit
    no_grad object overload override property runtime_checkable setter singledispatch staticmethod total_ordering tuple
    unique wraps"""
)
# What they make is told by the text of what they are given.
MAKERS = _words("Decimal Path PurePath compile date dict float frozenset int list set str timedelta tuple")
# Objects of these are worth what pickle would keep of them. Others may hold what is new in each process, as clients do.
HOLDERS = _words(
    """PIL _io _operator _random catboost collections configparser decimal geopandas ipaddress itertools
    joblib lightgbm networkx numpy omegaconf operator pandas polars pyarrow random scipy shapely sklearn statistics
    string sympy torch xgboost xml zoneinfo"""
)

"""How good models are: distances to real pictures, consistency over sizes, spectra, artifacts."""

from creps.metrics._artifacts import artifact_measures, grid_artifact
from creps.metrics._attributes import Readings, read_portraits
from creps.metrics._comparison import Comparison, compare, number_text
from creps.metrics._consistency import scale_consistency
from creps.metrics._diagnosis import ModelDiagnosis, diagnose
from creps.metrics._distances import frechet_distance, kernel_distance, novelty, precision_recall
from creps.metrics._evaluate import Evaluation, evaluate, write_record
from creps.metrics._extractors import (
    FeatureExtractor,
    dinov2,
    effnet,
    extract,
    inception,
    portrait_features,
)
from creps.metrics._measurements import Measurement
from creps.metrics._metrics import METRICS, Metric, Protocol, Task, Value, parse_metrics
from creps.metrics._pictures import PictureSet
from creps.metrics._real_images import RealImages, real_images
from creps.metrics._similarity import perceptual_distance, psnr, ssim
from creps.metrics._spectra import power_spectrum, radial_spectrum

__all__ = [
    "METRICS",
    "Comparison",
    "Evaluation",
    "FeatureExtractor",
    "Measurement",
    "Metric",
    "ModelDiagnosis",
    "PictureSet",
    "Protocol",
    "Readings",
    "RealImages",
    "Task",
    "Value",
    "artifact_measures",
    "compare",
    "diagnose",
    "dinov2",
    "effnet",
    "evaluate",
    "extract",
    "frechet_distance",
    "grid_artifact",
    "inception",
    "kernel_distance",
    "novelty",
    "number_text",
    "parse_metrics",
    "perceptual_distance",
    "portrait_features",
    "power_spectrum",
    "precision_recall",
    "psnr",
    "radial_spectrum",
    "read_portraits",
    "real_images",
    "scale_consistency",
    "ssim",
    "write_record",
]

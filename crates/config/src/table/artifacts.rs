//! Rows about runs and images: their formats, stores and signers, and what provenance says.

use super::{LINE, put, some};
use crate::keys::{Key, Values};
use crate::names::one_of;
use crate::values::{self, Read};
use crate::{BuildType, FormatName, SignerName};

const STORAGE_OF_RUNS: &str =
    "Where the statement is stored. An empty value turns this kind of run off.";
const SIGNER_OF_RUNS: &str = "What signs. `none` stores the statement unsigned, in stores that can hold that: \
     `tekton`, `gcs`, `docdb`, `local`.";
const FORMAT_OF_RUNS: &str = "How the statement is written. `in-toto` and `slsa/v1` are the same: SLSA v0.2. \
     `slsa/v2alpha3` and `slsa/v2alpha4` are SLSA v1.0. `tekton` is the run's `status` with a \
     detached signature, as releases before 0.8 wrote it.";

fn signer(text: &str) -> Read<SignerName> {
    one_of(SignerName::ALL, SignerName::as_str, text)
}

pub(super) static TASKRUN: &[Key] = &[
    Key::new(
        "artifacts.taskrun.format",
        Values::Formats(FormatName::OF_RUNS),
        |draft, text| some(&mut draft.taskrun.format, values::run_format(text)),
        FORMAT_OF_RUNS,
    )
    .default("in-toto"),
    Key::new(
        "artifacts.taskrun.storage",
        Values::Storages,
        |draft, text| put(&mut draft.taskrun.storage, values::storages(text, &draft.extras)),
        STORAGE_OF_RUNS,
    )
    .default("tekton")
    .may_be_empty(),
    Key::new(
        "artifacts.taskrun.signer",
        Values::OneOf(SignerName::NAMES),
        |draft, text| some(&mut draft.taskrun.signer, signer(text)),
        SIGNER_OF_RUNS,
    )
    .default("x509"),
];

pub(super) static PIPELINERUN: &[Key] = &[
    Key::new(
        "artifacts.pipelinerun.format",
        Values::Formats(FormatName::OF_RUNS),
        |draft, text| some(&mut draft.pipelinerun.format, values::run_format(text)),
        FORMAT_OF_RUNS,
    )
    .default("in-toto"),
    Key::new(
        "artifacts.pipelinerun.storage",
        Values::Storages,
        |draft, text| put(&mut draft.pipelinerun.storage, values::storages(text, &draft.extras)),
        STORAGE_OF_RUNS,
    )
    .default("tekton")
    .may_be_empty(),
    Key::new(
        "artifacts.pipelinerun.signer",
        Values::OneOf(SignerName::NAMES),
        |draft, text| some(&mut draft.pipelinerun.signer, signer(text)),
        SIGNER_OF_RUNS,
    )
    .default("x509"),
    Key::new(
        "artifacts.pipelinerun.enable-deep-inspection",
        Values::Boolean,
        |draft, text| put(&mut draft.deep_inspection, values::boolean(text)),
        "Whether inputs and outputs are also taken from the TaskRuns of a PipelineRun, not only \
         from its own results.",
    )
    .default("false"),
];

pub(super) static OCI: &[Key] = &[
    Key::new(
        "artifacts.oci.format",
        Values::Formats(FormatName::OF_IMAGES),
        |draft, text| some(&mut draft.oci.format, values::image_format(text)),
        "How the payload of an image signature is written.",
    )
    .default("simplesigning"),
    Key::new(
        "artifacts.oci.storage",
        Values::Storages,
        |draft, text| put(&mut draft.oci.storage, values::storages(text, &draft.extras)),
        "Where image signatures are stored; `archivista` cannot hold them. An empty value turns \
         image signatures off.",
    )
    .default("oci")
    .may_be_empty(),
    Key::new(
        "artifacts.oci.signer",
        Values::OneOf(SignerName::NAMES),
        |draft, text| some(&mut draft.oci.signer, signer(text)),
        "What signs images. `none` turns image signatures off; statements about runs are made all \
         the same.",
    )
    .default("x509"),
    Key::new(
        "artifacts.oci.from-pipelinerun-results",
        Values::Boolean,
        |draft, text| put(&mut draft.images_from_pipelinerun_results, values::boolean(text)),
        "Whether images that a PipelineRun's own results name are signed too, besides those of \
         TaskRuns.",
    )
    .default("false")
    .ours(),
];

pub(super) static PROVENANCE: &[Key] = &[
    Key::new(
        "builder.id",
        LINE,
        |draft, text| put(&mut draft.builder_id, values::plain(text)),
        "Who built: the builder's id in the provenance.",
    )
    .default("https://tekton.dev/chains/v2"),
    Key::new(
        "builddefinition.buildtype",
        Values::OneOf(BuildType::NAMES),
        |draft, text| some(&mut draft.build_type, one_of(BuildType::ALL, BuildType::as_str, text)),
        "The build type of SLSA v1.0 provenance. `slsa-tekton` adds labels and annotations, and \
         each task of a pipeline to the resolved dependencies.",
    )
    .default("https://tekton.dev/chains/v2/slsa"),
];

pub(super) static FILTER: &[Key] = &[Key::new(
    "filter.managed-by",
    Values::Text("a comma list of `spec.managedBy` values"),
    |draft, text| put(&mut draft.managed_by, values::strings(text)),
    "Runs that other controllers manage and that are looked at besides.",
)];

pub(super) static RETRY: &[Key] = &[
    Key::new(
        "retry.limit",
        Values::Text("a number from 0 to 100"),
        |draft, text| put(&mut draft.retry_limit, values::number(text, 0..=100)),
        "How often a run is tried again after its first attempt.",
    )
    .default("3")
    .ours(),
    Key::new(
        "retry.total-time",
        Values::Text("a duration such as `90s`, `10m`, `1h` or `1h30m`, from `1s` to `24h`"),
        |draft, text| put(&mut draft.retry_total_time, values::duration(text)),
        "The time that these attempts are spread over.",
    )
    .default("10m")
    .ours(),
];

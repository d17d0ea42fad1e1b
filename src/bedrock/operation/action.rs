//! Every operation of Bedrock's that goes through: how it is asked for, where it goes, what comes back.
//!
//! One row each. A row's place is its code in ledger entries, so rows are appended, never moved. `{}`
//! stands for one segment of the path, percent-encoded; slashes at the end of a path count. Source: the
//! service models of botocore 1.44 (`tests/vectors/operations.tsv`, to which a test holds this table);
//! for `/openai/v1`, AWS's "OpenAI models" page.

/// The part of Bedrock that serves an operation: first label of its host. All of them sign as `bedrock`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// Models, guardrails, asynchronous invocations.
    Runtime,
    /// Agents, flows, knowledge bases, sessions.
    AgentRuntime,
    /// What there is: models, profiles, guardrails, jobs. Only read here.
    Control,
}

impl Service {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::Runtime, Self::AgentRuntime, Self::Control];

    /// As in hosts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Runtime => "bedrock-runtime",
            Self::AgentRuntime => "bedrock-agent-runtime",
            Self::Control => "bedrock",
        }
    }
}

/// A method that Bedrock's operations use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `PUT`.
    Put,
    /// `POST`.
    #[default]
    Post,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Put, Self::Post, Self::Patch, Self::Delete];

    /// As it stands in a request line.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Of a request line.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.text() == text)
    }

    /// Whether doing it twice is as good as once (RFC 9110 §9.2.2).
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Put | Self::Delete)
    }
}

/// What comes back when all is well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answers {
    Whole,
    /// A stream of events.
    Stream,
}

/// Whether AWS bills it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Bills {
    Use,
    Free,
}

struct Row {
    action: Action,
    name: &'static str,
    label: &'static str,
    service: Service,
    method: Method,
    path: &'static str,
    answers: Answers,
    bills: Bills,
}

macro_rules! operations {
    ($($action:ident $label:literal $service:ident $method:ident $path:literal $answers:ident $bills:ident,)+) => {
        /// One of Bedrock's operations.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[expect(missing_docs, reason = "the names are AWS's, without `Model` behind `Invoke`")]
        pub enum Action { $($action,)+ }

        impl Action {
            /// All of them, in the order of their discriminants.
            pub const ALL: [Self; TABLE.len()] = [$(Self::$action,)+];
        }

        const TABLE: &[Row] = &[$(Row {
            action: Action::$action,
            name: stringify!($action),
            label: $label,
            service: Service::$service,
            method: Method::$method,
            path: $path,
            answers: Answers::$answers,
            bills: Bills::$bills,
        },)+];
    };
}

#[rustfmt::skip]
operations! {
    Invoke "invoke" Runtime Post "/model/{}/invoke" Whole Use,
    InvokeWithResponseStream "invoke-with-response-stream" Runtime Post "/model/{}/invoke-with-response-stream" Stream Use,
    Converse "converse" Runtime Post "/model/{}/converse" Whole Use,
    ConverseStream "converse-stream" Runtime Post "/model/{}/converse-stream" Stream Use,
    CountTokens "count-tokens" Runtime Post "/model/{}/count-tokens" Whole Free,
    InvokeModelWithBidirectionalStream "invoke-with-bidirectional-stream" Runtime Post "/model/{}/invoke-with-bidirectional-stream" Stream Use,
    ApplyGuardrail "apply-guardrail" Runtime Post "/guardrail/{}/version/{}/apply" Whole Use,
    GetAsyncInvoke "get-async-invoke" Runtime Get "/async-invoke/{}" Whole Free,
    InvokeGuardrailChecks "invoke-guardrail-checks" Runtime Post "/guardrail-checks/invoke" Whole Use,
    ListAsyncInvokes "list-async-invokes" Runtime Get "/async-invoke" Whole Free,
    StartAsyncInvoke "start-async-invoke" Runtime Post "/async-invoke" Whole Use,
    ChatCompletions "chat-completions" Runtime Post "/openai/v1/chat/completions" Whole Use,
    Responses "responses" Runtime Post "/openai/v1/responses" Whole Use,
    GetResponse "get-response" Runtime Get "/openai/v1/responses/{}" Whole Free,
    DeleteResponse "delete-response" Runtime Delete "/openai/v1/responses/{}" Whole Free,
    CancelResponse "cancel-response" Runtime Post "/openai/v1/responses/{}/cancel" Whole Free,
    ListOpenAiModels "list-open-ai-models" Runtime Get "/openai/v1/models" Whole Free,
    AgenticRetrieveStream "agentic-retrieve-stream" AgentRuntime Post "/agenticRetrieveStream" Stream Use,
    CheckIngestedDocumentAcl "check-ingested-document-acl" AgentRuntime Post "/knowledgebases/{}/datasources/{}/check-ingested-document-acl" Whole Free,
    CreateInvocation "create-invocation" AgentRuntime Put "/sessions/{}/invocations/" Whole Free,
    CreateSession "create-session" AgentRuntime Put "/sessions/" Whole Free,
    DeleteAgentMemory "delete-agent-memory" AgentRuntime Delete "/agents/{}/agentAliases/{}/memories" Whole Free,
    DeleteSession "delete-session" AgentRuntime Delete "/sessions/{}/" Whole Free,
    EndSession "end-session" AgentRuntime Patch "/sessions/{}" Whole Free,
    GenerateQuery "generate-query" AgentRuntime Post "/generateQuery" Whole Use,
    GetAgentMemory "get-agent-memory" AgentRuntime Get "/agents/{}/agentAliases/{}/memories" Whole Free,
    GetDocumentContent "get-document-content" AgentRuntime Post "/knowledgebases/{}/datasources/{}/documents/{}/content" Whole Use,
    GetExecutionFlowSnapshot "get-execution-flow-snapshot" AgentRuntime Get "/flows/{}/aliases/{}/executions/{}/flowsnapshot" Whole Free,
    GetFlowExecution "get-flow-execution" AgentRuntime Get "/flows/{}/aliases/{}/executions/{}" Whole Free,
    GetIngestedDocumentAcl "get-ingested-document-acl" AgentRuntime Post "/knowledgebases/{}/datasources/{}/get-ingested-document-acl" Whole Free,
    GetInvocationStep "get-invocation-step" AgentRuntime Post "/sessions/{}/invocationSteps/{}" Whole Free,
    GetSession "get-session" AgentRuntime Get "/sessions/{}/" Whole Free,
    InvokeAgent "invoke-agent" AgentRuntime Post "/agents/{}/agentAliases/{}/sessions/{}/text" Stream Use,
    InvokeFlow "invoke-flow" AgentRuntime Post "/flows/{}/aliases/{}" Stream Use,
    InvokeInlineAgent "invoke-inline-agent" AgentRuntime Post "/agents/{}" Stream Use,
    ListFlowExecutionEvents "list-flow-execution-events" AgentRuntime Get "/flows/{}/aliases/{}/executions/{}/events" Whole Free,
    ListFlowExecutions "list-flow-executions" AgentRuntime Get "/flows/{}/executions" Whole Free,
    ListInvocationSteps "list-invocation-steps" AgentRuntime Post "/sessions/{}/invocationSteps/" Whole Free,
    ListInvocations "list-invocations" AgentRuntime Post "/sessions/{}/invocations/" Whole Free,
    ListSessions "list-sessions" AgentRuntime Post "/sessions/" Whole Free,
    ListTagsForResource "list-tags-for-resource" AgentRuntime Get "/tags/{}" Whole Free,
    OptimizePrompt "optimize-prompt" AgentRuntime Post "/optimize-prompt" Stream Use,
    PutInvocationStep "put-invocation-step" AgentRuntime Put "/sessions/{}/invocationSteps/" Whole Free,
    Rerank "rerank" AgentRuntime Post "/rerank" Whole Use,
    Retrieve "retrieve" AgentRuntime Post "/knowledgebases/{}/retrieve" Whole Use,
    RetrieveAndGenerate "retrieve-and-generate" AgentRuntime Post "/retrieveAndGenerate" Whole Use,
    RetrieveAndGenerateStream "retrieve-and-generate-stream" AgentRuntime Post "/retrieveAndGenerateStream" Stream Use,
    StartFlowExecution "start-flow-execution" AgentRuntime Post "/flows/{}/aliases/{}/executions" Whole Use,
    StopFlowExecution "stop-flow-execution" AgentRuntime Post "/flows/{}/aliases/{}/executions/{}/stop" Whole Free,
    TagResource "tag-resource" AgentRuntime Post "/tags/{}" Whole Free,
    UntagResource "untag-resource" AgentRuntime Delete "/tags/{}" Whole Free,
    UpdateSession "update-session" AgentRuntime Put "/sessions/{}/" Whole Free,
    GetCustomModel "get-custom-model" Control Get "/custom-models/{}" Whole Free,
    GetCustomModelDeployment "get-custom-model-deployment" Control Get "/model-customization/custom-model-deployments/{}" Whole Free,
    GetEvaluationJob "get-evaluation-job" Control Get "/evaluation-jobs/{}" Whole Free,
    GetFoundationModel "get-foundation-model" Control Get "/foundation-models/{}" Whole Free,
    GetFoundationModelAvailability "get-foundation-model-availability" Control Get "/foundation-model-availability/{}" Whole Free,
    GetGuardrail "get-guardrail" Control Get "/guardrails/{}" Whole Free,
    GetImportedModel "get-imported-model" Control Get "/imported-models/{}" Whole Free,
    GetInferenceProfile "get-inference-profile" Control Get "/inference-profiles/{}" Whole Free,
    GetMarketplaceModelEndpoint "get-marketplace-model-endpoint" Control Get "/marketplace-model/endpoints/{}" Whole Free,
    GetModelCopyJob "get-model-copy-job" Control Get "/model-copy-jobs/{}" Whole Free,
    GetModelCustomizationJob "get-model-customization-job" Control Get "/model-customization-jobs/{}" Whole Free,
    GetModelImportJob "get-model-import-job" Control Get "/model-import-jobs/{}" Whole Free,
    GetModelInvocationJob "get-model-invocation-job" Control Get "/model-invocation-job/{}" Whole Free,
    GetModelInvocationLoggingConfiguration "get-model-invocation-logging-configuration" Control Get "/logging/modelinvocations" Whole Free,
    GetProject "get-project" Control Get "/projects/{}" Whole Free,
    GetPromptRouter "get-prompt-router" Control Get "/prompt-routers/{}" Whole Free,
    GetProvisionedModelThroughput "get-provisioned-model-throughput" Control Get "/provisioned-model-throughput/{}" Whole Free,
    ListCustomModelDeployments "list-custom-model-deployments" Control Get "/model-customization/custom-model-deployments" Whole Free,
    ListCustomModels "list-custom-models" Control Get "/custom-models" Whole Free,
    ListEnforcedGuardrailsConfiguration "list-enforced-guardrails-configuration" Control Get "/enforcedGuardrailsConfiguration" Whole Free,
    ListEvaluationJobs "list-evaluation-jobs" Control Get "/evaluation-jobs" Whole Free,
    ListFoundationModels "list-foundation-models" Control Get "/foundation-models" Whole Free,
    ListGuardrails "list-guardrails" Control Get "/guardrails" Whole Free,
    ListImportedModels "list-imported-models" Control Get "/imported-models" Whole Free,
    ListInferenceProfiles "list-inference-profiles" Control Get "/inference-profiles" Whole Free,
    ListMarketplaceModelEndpoints "list-marketplace-model-endpoints" Control Get "/marketplace-model/endpoints" Whole Free,
    ListModelCopyJobs "list-model-copy-jobs" Control Get "/model-copy-jobs" Whole Free,
    ListModelCustomizationJobs "list-model-customization-jobs" Control Get "/model-customization-jobs" Whole Free,
    ListModelImportJobs "list-model-import-jobs" Control Get "/model-import-jobs" Whole Free,
    ListModelInvocationJobs "list-model-invocation-jobs" Control Get "/model-invocation-jobs" Whole Free,
    ListProjects "list-projects" Control Get "/projects" Whole Free,
    ListPromptRouters "list-prompt-routers" Control Get "/prompt-routers" Whole Free,
    ListProvisionedModelThroughputs "list-provisioned-model-throughputs" Control Get "/provisioned-model-throughputs" Whole Free,
    Unlisted "unlisted" Runtime Post "-" Whole Use,
}

/// Where an operation says which model it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ModelPlace {
    /// In its path.
    Path,
    /// In its content: this member of the outermost object.
    Content(&'static str),
    /// Nowhere: it is for none, or for one that AWS is told of elsewhere.
    Nowhere,
}

impl Action {
    /// Those with the model in their path, in the order of their discriminants, which count from 0.
    pub const ON_MODEL: [Self; 5] = [
        Self::Invoke,
        Self::InvokeWithResponseStream,
        Self::Converse,
        Self::ConverseStream,
        Self::CountTokens,
    ];

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// What logs and spend call it; of the operations on models, the last segment of the path.
    #[must_use]
    pub fn segment(self) -> &'static str {
        self.row().label
    }

    /// AWS's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invoke => "InvokeModel",
            Self::InvokeWithResponseStream => "InvokeModelWithResponseStream",
            _ => self.row().name,
        }
    }

    /// Of [`Self::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Who serves it.
    #[must_use]
    pub fn service(self) -> Service {
        self.row().service
    }

    /// How it is asked for.
    #[must_use]
    pub fn method(self) -> Method {
        self.row().method
    }

    /// Whether its answer is always a stream of events.
    #[must_use]
    pub fn is_streaming(self) -> bool {
        self.row().answers == Answers::Stream
    }

    /// Whether AWS takes no money for it.
    #[must_use]
    pub fn is_free(self) -> bool {
        self.row().bills == Bills::Free
    }

    /// Whether AWS may be asked again where it is not known if it has heard the first time (RFC 9110 §9.2.2):
    /// what is only computed costs money twice, what changes something is done twice.
    #[must_use]
    pub fn is_repeatable(self, method: Method) -> bool {
        match self {
            // Jobs, and agents and flows, which may book a flight; sessions remember what was said in them.
            Self::StartAsyncInvoke
            | Self::StartFlowExecution
            | Self::InvokeAgent
            | Self::InvokeInlineAgent
            | Self::InvokeFlow
            | Self::RetrieveAndGenerate
            | Self::RetrieveAndGenerateStream
            // `PUT`, but each makes another one.
            | Self::CreateSession
            | Self::CreateInvocation
            | Self::PutInvocationStep => false,
            Self::Unlisted => method.is_idempotent(),
            _ => true,
        }
    }

    /// Where it says which model it is for.
    #[must_use]
    pub fn model_place(self) -> ModelPlace {
        match self {
            Self::StartAsyncInvoke => ModelPlace::Content("modelId"),
            Self::ChatCompletions | Self::Responses => ModelPlace::Content("model"),
            _ if Self::ON_MODEL.contains(&self) => ModelPlace::Path,
            _ => ModelPlace::Nowhere,
        }
    }

    /// The action on a model whose path ends in `segment`.
    #[must_use]
    pub fn on_model(segment: &str) -> Option<Self> {
        Self::ON_MODEL.into_iter().find(|action| action.segment() == segment)
    }
}

/// Some of the operations.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ActionSet(u128);

impl ActionSet {
    /// Every one.
    pub const ALL: Self = Self(u128::MAX);

    /// With `action`.
    #[must_use]
    pub fn with(self, action: Action) -> Self {
        const { assert!(Action::ALL.len() <= 128) };
        Self(self.0 | 1 << action as u32)
    }

    /// Whether `action` is one of them.
    #[must_use]
    pub fn has(self, action: Action) -> bool {
        self.0 >> action as u32 & 1 == 1
    }
}

/// What a path and a method ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// This.
    Action(Action),
    /// The path is there for these methods alone.
    Methods(&'static str),
    /// Nothing in the table.
    Nothing,
}

/// Looks a path below `/bedrock` up that is for no model's own: raw, segment by segment.
#[must_use]
pub fn find(method: &str, path: &str) -> Asked {
    let mut allowed = 0_usize;
    for row in TABLE.iter().filter(|row| fits(row.path, path)) {
        if row.method.text() == method {
            return Asked::Action(row.action);
        }
        allowed |= 1 << row.method as usize;
    }
    if allowed == 0 { Asked::Nothing } else { Asked::Methods(ALLOW[allowed]) }
}

/// Values of `allow`, by the methods' bits. Those that no path of the table has are empty.
const ALLOW: [&str; 32] = {
    let mut texts = [""; 32];
    texts[1 << Method::Get as usize] = "GET";
    texts[1 << Method::Put as usize] = "PUT";
    texts[1 << Method::Post as usize] = "POST";
    texts[1 << Method::Patch as usize] = "PATCH";
    texts[1 << Method::Delete as usize] = "DELETE";
    texts[1 << Method::Get as usize | 1 << Method::Post as usize] = "GET, POST";
    texts[1 << Method::Put as usize | 1 << Method::Post as usize] = "PUT, POST";
    texts[1 << Method::Get as usize | 1 << Method::Delete as usize] = "GET, DELETE";
    texts[1 << Method::Get as usize | 1 << Method::Put as usize | 1 << Method::Delete as usize] =
        "GET, PUT, DELETE";
    texts[1 << Method::Get as usize | 1 << Method::Post as usize | 1 << Method::Delete as usize] =
        "GET, POST, DELETE";
    texts
};

/// Whether `path` is of this pattern: as many segments, each equal or, where `{}` stands, not empty.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some("{}"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(found)) if wanted == found && wanted != "{}" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;

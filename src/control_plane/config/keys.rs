//! The keys that may stand in a configuration: those that are honoured, and LiteLLM's others.
//!
//! A key that has no effect is worth a warning: silence would let a limit or a guardrail that somebody
//! relies on vanish unseen. Source: LiteLLM 1.106,
//! its source and its documents; a key of another release may be missing, and is called unknown.

use super::document::{Content, Node};
use super::problem::Problems;
use crate::bedrock::price::Name;

/// What may stand in one mapping: names, with spaces between them.
pub(super) struct Section {
    /// Have the effect that LiteLLM's documents give them (or ours, under `outcrop`).
    honoured: &'static str,
    /// LiteLLM knows them; they have no effect here.
    others: &'static str,
    /// Starts of further names that LiteLLM knows.
    families: &'static str,
    /// Mappings inside this one, where a key that stands here may belong.
    inner: &'static [(&'static str, &'static Section)],
}

pub(super) const TOP: Section = Section {
    honoured: "model_list general_settings environment_variables include outcrop router_settings litellm_settings",
    others: "\
        credential_list guardrails mcp_servers mcp_tools mcp_aliases files_settings finetune_settings \
        callback_settings vector_store_registry search_tools prompts policies assistant_settings \
        router_general_settings model_group_settings",
    families: "",
    inner: &[
        ("general_settings", &GENERAL_SETTINGS),
        ("router_settings", &ROUTER_SETTINGS),
        ("litellm_settings", &LITELLM_SETTINGS),
    ],
};

pub(super) const OUTCROP: Section = Section {
    honoured: "\
        max_connections_per_worker max_content_in_flight_mb_per_worker max_requests_per_connection \
        driver shutdown_grace_s prices data_dir ledger on_client_disconnect access_log first_frame_failover \
        request_timeout_s passthrough unlisted_models unlisted_paths client_credentials \
        require_verified_signature tls",
    others: "",
    families: "",
    inner: &[("ledger", &LEDGER), ("passthrough", &PASSTHROUGH), ("tls", &TLS)],
};

pub(super) const TLS: Section =
    Section { honoured: "client_ca", others: "", families: "", inner: &[] };

pub(super) const CLIENT_CREDENTIAL: Section =
    Section { honoured: "access_key_id secret_access_key", others: "", families: "", inner: &[] };

pub(super) const PASSTHROUGH: Section = Section {
    honoured: "\
        allowed_operations aws_region_name api_base aws_bedrock_runtime_endpoint \
        aws_bedrock_agent_runtime_endpoint aws_bedrock_endpoint aws_access_key_id aws_secret_access_key \
        aws_session_token api_key aws_profile_name aws_role_name aws_session_name aws_session_tags \
        aws_web_identity_token aws_external_id aws_sts_endpoint litellm_credential_name",
    others: "",
    families: "",
    inner: &[],
};

pub(super) const LEDGER: Section =
    Section { honoured: "enabled on_full sync_ms", others: "", families: "", inner: &[] };

pub(super) const ENTRY: Section = Section {
    honoured: "model_name litellm_params model_info",
    others: "",
    families: "",
    inner: &[("litellm_params", &LITELLM_PARAMS), ("model_info", &MODEL_INFO)],
};

/// Of the honoured ones, `region_name` and those from `aws_profile_name` on are answered or refused in
/// region.rs and credential.rs, which say more than a table can.
pub(super) const LITELLM_PARAMS: Section = Section {
    honoured: "\
        model model_id custom_llm_provider aws_region_name aws_access_key_id aws_secret_access_key \
        aws_session_token api_key aws_bedrock_runtime_endpoint api_base weight rpm tpm region_name \
        aws_profile_name aws_role_name aws_session_name aws_session_tags aws_web_identity_token \
        aws_external_id aws_sts_endpoint litellm_credential_name timeout stream_timeout order \
        max_parallel_requests num_retries max_retries cooldown_time allowed_fails allowed_fails_policy",
    others: "\
        timeout_by_service_tier itpm otpm default_api_key_rpm_limit default_api_key_tpm_limit max_budget \
        budget_duration tags tag_regex extra_headers extra_body guardrailConfig guardrails \
        use_in_pass_through use_litellm_proxy drop_params additional_drop_params \
        allowed_openai_params mock_response mock_timeout aws_bedrock_project_id base_url base_model \
        api_version organization max_tokens temperature top_p stop stream performanceConfig serviceTier \
        service_tier requestMetadata thinking reasoning_effort litellm_trace_id max_file_size_mb \
        configurable_clientside_auth_params model_info merge_reasoning_content_in_choices \
        cache_control_injection_points merge_system_messages s3_bucket_name s3_region_name \
        aws_batch_role_arn fallbacks ssl_verify",
    families: "\
        input_cost_per_ output_cost_per_ cache_creation_ cache_read_ search_context_cost_ auto_router_ \
        vertex_ azure_",
    inner: &[],
};

pub(super) const MODEL_INFO: Section = Section {
    honoured: "id base_model allowed_fails allowed_fails_policy cooldown_time order",
    others: "\
        mode tier team_id team_public_model_name blocked discoverable access_groups \
        access_windows allow_fail_open \
        litellm_provider max_tokens max_input_tokens max_output_tokens description created_at created_by \
        updated_at updated_by db_model deprecation_date rpm tpm tags disable_background_health_check \
        background_health_check_interval provisioned_throughput_units",
    families: "\
        supports_ supported_ health_check_ input_cost_per_ output_cost_per_ cache_creation_ cache_read_ \
        search_context_cost_ ptu_",
    inner: &[],
};

pub(super) const GENERAL_SETTINGS: Section = Section {
    honoured: "\
        master_key dangerously_permit_weak_or_unset_master_key max_request_size_mb database_url \
        disable_spend_logs maximum_spend_logs_retention_period max_in_flight_requests_per_worker disable_bedrock_agent_runtime_passthrough",
    others: "\
        database_connection_pool_limit database_connection_timeout database_type database_args \
        database_host database_name database_username database_password store_model_in_db custom_auth \
        custom_auth_run_common_checks custom_key_generate custom_sso custom_ui_sso_sign_in_handler \
        litellm_key_header_name allowed_routes allowed_ips use_x_forwarded_for max_parallel_requests \
        global_max_parallel_requests max_queued_requests_per_worker \
        admission_queue_timeout_seconds max_response_size_mb pass_through_request_timeout \
        pass_through_endpoints cancel_on_disconnect disable_error_logs \
        disable_spend_updates disable_master_key_return disable_retry_on_max_parallel_request_limit_error \
        disable_reset_budget disable_adding_master_key_hash_to_db disable_prisma_schema_update \
        store_prompts_in_spend_logs maximum_spend_logs_retention_interval maximum_spend_logs_cleanup_cron proxy_batch_write_at proxy_budget_rescheduler_min_time \
        proxy_budget_rescheduler_max_time use_redis_transaction_buffer user_api_key_cache_ttl \
        user_api_key_cache_max_size background_health_checks health_check_interval health_check_details \
        allow_requests_on_db_unavailable fail_closed_budget_enforcement fail_closed_rate_limit_enforcement \
        token_rate_limit_type proxy_config_reload_interval_seconds enable_jwt_auth litellm_jwtauth \
        enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings public_routes admin_only_routes \
        include_call_id_in_error_body \
        forward_client_headers_to_llm_api forward_llm_provider_auth_headers forward_openai_org_id \
        enforce_user_param enforced_params key_management_system key_management_settings completion_model \
        infer_model_from_keys default_team_disabled default_internal_user_params ui_access_mode ui_username \
        ui_password user_header_name user_header_mappings reject_clientside_metadata_tags role_permissions \
        spend_report_frequency service_account_settings supported_db_objects image_generation_model \
        moderation_model embedding_model prompts always_include_stream_usage auto_redirect_ui_login_to_sso \
        enable_public_model_hub coordination_redis",
    families: "alert database_ health_check_",
    inner: &[],
};

pub(super) const ROUTER_SETTINGS: Section = Section {
    honoured: "\
        routing_strategy num_retries max_fallbacks timeout stream_timeout retry_after retry_policy \
        model_group_retry_policy allowed_fails allowed_fails_policy cooldown_time disable_cooldowns \
        fallbacks default_fallbacks model_group_alias optional_pre_call_checks enable_weighted_failover \
        default_max_parallel_requests",
    others: "\
        routing_strategy_args routing_groups context_window_fallbacks content_policy_fallbacks \
        enable_pre_call_checks enable_tag_filtering tag_filtering_match_any \
        provider_budget_config cache_responses cache_kwargs caching_groups client_ttl \
        enable_health_check_routing health_check_staleness_threshold deployment_affinity_ttl_seconds \
        default_litellm_params default_priority polling_interval set_verbose debug_level search_tools \
        alerting_config router_general_settings ignore_invalid_deployments model_group_affinity_config",
    families: "redis_",
    inner: &[],
};

pub(super) const LITELLM_SETTINGS: Section = Section {
    honoured: "\
        callbacks success_callback failure_callback json_logs require_auth_for_metrics_endpoint \
        num_retries request_timeout allowed_fails fallbacks default_fallbacks max_fallbacks",
    others: "\
        service_callback audit_log_callbacks \
        cache cache_params model_alias_map max_budget \
        budget_duration cost_discount_config cost_margin_config turn_off_message_logging \
        bedrock_request_metadata_fields budget_exceeded_status_code \
        expose_router_debug_in_errors drop_params modify_params set_verbose telemetry \
        log_raw_request_response redact_user_api_key_info redact_messages_in_exceptions \
        context_window_fallbacks content_policy_fallbacks guardrails default_team_settings \
        default_internal_user_params default_user_params upperbound_key_generate_params \
        default_key_generate_params key_generation_settings add_function_to_prompt ssl_verify \
        ssl_certificate force_ipv4 disable_hf_tokenizer_download disable_end_user_cost_tracking \
        enable_json_schema_validation enable_preview_features forward_traceparent_to_llm_provider \
        return_response_headers overwrite_litellm_metadata max_end_user_budget max_internal_user_budget \
        internal_user_budget_duration max_user_budget langfuse_default_tags tag_budget_config \
        priority_reservation priority_reservation_settings public_model_groups credential_list \
        store_audit_logs enable_loadbalancing_on_batch_endpoints ui_theme_config",
    families: "prometheus_",
    inner: &[],
};

impl Section {
    /// Warns of each key of `mapping` that has no effect. An error if it is no mapping.
    pub(super) fn check(&self, mapping: &Node, problems: &mut Problems) {
        if !matches!(mapping.content, Content::Mapping(_) | Content::Null | Content::Missing) {
            problems.error(
                &mapping.place,
                format!("must be a mapping of keys, not {}", mapping.kind()),
            );
        }
        for (key, value) in mapping.entries() {
            let is_price =
                self.families.contains("input_cost_per_") && Name::from_litellm(key).is_some();
            if is_price || names(self.honoured).any(|name| name == key) {
                continue;
            }
            let message = if self.knows(key) {
                format!("LiteLLM's key `{key}` is not honoured by this version of Outcrop")
            } else if let Some((home, _)) = self.inner.iter().find(|(_, inner)| inner.knows(key)) {
                format!("belongs under `{home}`; it has no effect here")
            } else if let Some(near) = self.nearest(key) {
                format!("unknown key; did you mean `{near}`?")
            } else {
                "unknown key; it has no effect".into()
            };
            problems.warning(&value.place, message);
        }
    }

    fn knows(&self, key: &str) -> bool {
        names(self.honoured).chain(names(self.others)).any(|name| name == key)
            || names(self.families).any(|start| key.starts_with(start))
    }

    /// The known key that `key` begins, or that is at most a third of `key`'s letters away.
    fn nearest(&self, key: &str) -> Option<&'static str> {
        let known = || names(self.honoured).chain(names(self.others));
        let longer = known().find(|known| key.len() >= 4 && known.starts_with(key));
        if longer.is_some() {
            return longer;
        }
        nearest(key, known())
    }
}

/// Of `known`, the one that is at most a third of `word`'s letters away.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let near =
        known.map(|known| (distance(word, known), known)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, _)| *distance <= (word.chars().count() / 3).max(1))
        .map(|(_, near)| near)
}

fn names(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.split_whitespace()
}

/// Letters to insert, remove, replace or swap with their neighbour to make `a` of `b` (optimal string
/// alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { least.min(rows[i - 2][j - 2] + 1) } else { least }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named() {
        assert_eq!(LITELLM_PARAMS.nearest("wieght"), Some("weight"));
        assert_eq!(LITELLM_PARAMS.nearest("aws_region"), Some("aws_region_name"));
        assert_eq!(TOP.nearest("modellist"), Some("model_list"));
        assert_eq!(TOP.nearest("zzzzzz"), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
